"""Where README's numbers come from: `make bench` runs everything here and prints one table a file."""
