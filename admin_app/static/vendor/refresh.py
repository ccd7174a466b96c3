"""Re-create the third-party assets of this directory from npm, or compare them with npm's.

    python admin_app/static/vendor/refresh.py            fetch every package of vendor.json and write its files anew
    python admin_app/static/vendor/refresh.py --check    fetch them and compare; exit 1 and name each file that differs

To move to another version, edit `version` in vendor.json and run it without --check. It needs npm; nobody who only
installs or runs Backdesk does.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TypedDict

import click

HERE = Path(__file__).parent
MANIFEST = HERE / "vendor.json"


class Asset(TypedDict):
    """One file we ship: where it lies in the npm package, and the SHA-512 of its bytes (as in `integrity=`)."""

    source: str
    sha512: str


class Package(TypedDict):
    """One npm package; `files` maps a path below this directory to its asset."""

    name: str
    version: str
    licence: str
    files: dict[str, Asset]


def integrity(content: bytes) -> str:
    """Return the digest in the form that npm and the `integrity` attribute use."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def fetch(package: Package) -> dict[str, bytes]:
    """Download one package and return the content of each file that we ship, by its path below this directory.

    Raises CalledProcessError when npm cannot deliver it, KeyError when the package no longer holds a file.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{package['name']}@{package['version']}"
        command = ["npm", "pack", wanted, "--silent", "--pack-destination", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as packed:
            return {path: read(packed, asset["source"]) for path, asset in package["files"].items()}


def read(packed: tarfile.TarFile, source: str) -> bytes:
    """Return one member's bytes; npm puts every file under `package/`."""
    member = packed.extractfile(f"package/{source}")
    if member is None:
        raise KeyError(source)
    return member.read()


def differences(package: Package, fetched: dict[str, bytes]) -> list[str]:
    """Say in one sentence each how the files here differ from the manifest or from npm's."""
    found = []
    for path, content in fetched.items():
        if integrity(content) != package["files"][path]["sha512"]:
            found.append(f"{path}: npm's {package['name']} {package['version']} is not what vendor.json says")
        if not (HERE / path).is_file():
            found.append(f"{path}: missing here")
        elif (HERE / path).read_bytes() != content:
            found.append(f"{path}: differs from npm's")
    return found


def strangers(packages: list[Package]) -> list[str]:
    """Say which files lie here that no package accounts for."""
    known = {path for package in packages for path in package["files"]} | {MANIFEST.name, Path(__file__).name}
    present = {str(path.relative_to(HERE)) for path in HERE.rglob("*") if path.is_file()}
    return [f"{path}: not in vendor.json" for path in sorted(present - known) if "__pycache__" not in path]


def write(package: Package, fetched: dict[str, bytes]) -> None:
    """Write the files and note their digests in the package's entry."""
    for path, content in fetched.items():
        (HERE / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / path).write_bytes(content)
        package["files"][path]["sha512"] = integrity(content)


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Compare only; write nothing.")
def main(check: bool) -> None:
    """Refresh or compare every package."""
    packages: list[Package] = json.loads(MANIFEST.read_text())
    wrong = strangers(packages)
    for package in packages:
        fetched = fetch(package)
        if check:
            wrong += differences(package, fetched)
        else:
            write(package, fetched)
    if not check:
        MANIFEST.write_text(json.dumps(packages, indent=2) + "\n")
    for sentence in wrong:
        click.echo(sentence, err=True)
    click.echo(f"{len(packages)} packages, {len(wrong)} differences.")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
