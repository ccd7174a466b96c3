// Charts, drawn by a library that is loaded only where there is one.
(() => {
  const strokes = [[], [6, 4], [2, 4], [9, 3, 2, 3]];

  /**
   * Draw the JSON block inside a [data-chart] figure: {x: [seconds], series: [{label, values}], bars?: true, zone?: "UTC"}.
   */
  async function chart(figure) {
    await backdesk.library("uplot");
    const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const canvas = figure.querySelector(".chart-canvas");
    const timeZone = data.zone ?? "UTC";
    const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone });
    const days = (_, moments) => moments.map((seconds) => day.format(seconds * 1000));
    let plot;

    function draw() {
      const style = getComputedStyle(figure);
      const colour = (name) => {
        const probe = figure.appendChild(document.createElement("i"));
        probe.hidden = true;
        probe.style.color = `var(${name})`;
        const value = getComputedStyle(probe).color;
        probe.remove();
        return value;
      };
      const axis = { stroke: style.color, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: `12px ${style.fontFamily}` };
      plot?.destroy();
      plot = new uPlot({
        width: canvas.clientWidth,
        height: Math.max(canvas.clientHeight, 240),
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), timeZone),
        cursor: { y: false },
        scales: { y: { range: (_, low, high) => [Math.min(0, low), Math.max(1, high * 1.08)] } },
        axes: [{ ...axis, grid: { show: false }, values: days, space: 64 }, { ...axis, size: 56 }],
        series: [{ label: "Day", value: (_, seconds) => (seconds === null ? "–" : day.format(seconds * 1000)) }, ...data.series.map((series, index) => ({
          label: series.label,
          stroke: colour(`--series-${(index % 6) + 1}`),
          width: 2,
          dash: strokes[index % strokes.length],
          points: { show: data.x.length < 40, fill: colour("--surface") },
          ...(data.bars && { paths: uPlot.paths.bars({ size: [0.7, 40] }), fill: colour(`--series-${(index % 6) + 1}`), points: { show: false } }),
        }))],
      }, [data.x, ...data.series.map((series) => series.values)], canvas);
    }

    draw();
    new ResizeObserver(() => plot.setSize({ width: canvas.clientWidth, height: plot.height })).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    document.addEventListener("backdesk:theme", draw);
  }

  backdesk.part("[data-chart]", chart);
})();
