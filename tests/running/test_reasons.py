"""Outputs of launchers and programs as they are, and the line that says what is wrong."""

import pytest

from phonsmith.running.reasons import reason_of

DASHES = "-" * 74
ROOT = f"""{DASHES}
mpirun has detected an attempt to run as root.

Running as root is *strongly* discouraged as any mistake (e.g., in
defining TMPDIR) or bug can result in catastrophic damage to the OS
file system, leaving your system in an unusable state.

add one more layer of certainty that you want to do so.
We reiterate our advice against doing so - please proceed at your own risk.
{DASHES}
"""
SLOTS = f"""{DASHES}
There are not enough slots available in the system to satisfy the 64
slots that were requested by the application:

  vasp_std

Either request fewer slots for your application, or make more slots
available for use.
{DASHES}
"""
AFTER = f"""{DASHES}
Primary job  terminated normally, but 1 process returned
a non-zero exit code. Per user-direction, the job has been aborted.
{DASHES}
{DASHES}
mpirun noticed that process rank 0 with PID 0 on node vm exited on signal 11 (Segmentation fault).
{DASHES}
"""
LIBRARY = (
    "vasp_std: error while loading shared libraries: libmkl_core.so.2: cannot open shared object "
    "file: No such file or directory\n"
)
SRUN = """slurmstepd: error: execve(): vasp_std: No such file or directory
srun: error: node1: task 0: Exited with exit code 2
"""
FORTRAN = """ running on    1 total cores
At line 12 of file main.f90 (unit = 7)
Fortran runtime error: End of file

Error termination. Backtrace:
#0  0x7f0c in ???
"""


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (ROOT, "mpirun has detected an attempt to run as root."),
        (SLOTS, "There are not enough slots available in the system to satisfy the 64 slots"),
        (LIBRARY + AFTER, "error while loading shared libraries: libmkl_core.so.2"),
        (AFTER, "mpirun noticed that process rank 0"),
        (SRUN, "slurmstepd: error: execve(): vasp_std: No such file"),
        (FORTRAN, "Fortran runtime error: End of file"),
        ("mpirun: Error: unknown option \"--x\"\nType 'mpirun --help' for usage.\n", "unknown"),
        (" running\n ---- \n the last line\n", "the last line"),
        ("", ""),
    ],
)
def test_the_line_that_says_what_is_wrong(output: str, reason: str) -> None:
    assert reason in reason_of(output)
    assert bool(reason) == bool(reason_of(output))
