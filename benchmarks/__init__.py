"""The speed table of docs/performance.md, made again by `scripts/bench`."""
