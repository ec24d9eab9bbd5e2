"""What ucam costs beside what one would use instead: `make bench`, or `python -m bench NAME…`.

docs/benchmarks.md says what is counted; each module with a `POINT` measures one thing, `report`
writes the page.
"""
