"""Where the README's figures come from: `make bench`, or `python -m bench NAME…`.

CPU is user plus system time of the measured processes in percent of one core; memory is resident.
Peers run in the same call, on the same input.
"""
