"""Running pw.x for one cell: in a folder, with a time limit, judged, and with remedies."""

import re
import shlex
import shutil
import tempfile
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.checks import check_same
from phonsmith.labels.espresso.density import LastDensity
from phonsmith.labels.espresso.inputs import (
    INPUT,
    OUTPUT,
    PREFIX,
    SCRATCH,
    Subject,
    ph_input,
    write_input,
)
from phonsmith.labels.espresso.remedies import Remedy, Start, next_remedy
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.labels.recorded.readers.pw import PwResult, RunFailed, read_pw, reason_in
from phonsmith.labels.runs import MPI_ENVIRONMENT
from phonsmith.running.reasons import reason_of
from phonsmith.running.subprocesses import Finished, run_child

PH_OUTPUT = "espresso.pho"

SPACE_LEFT_BYTES = 1_000_000
"""A disk with less than this is full: no output of pw.x is smaller in all its parts."""


@dataclass(frozen=True)
class Run:
    """A converged run, its folder, and what had to be changed to get it."""

    result: PwResult
    finished: Finished
    save: Path
    remedies: tuple[Remedy, ...] = ()

    @property
    def remedies_in_words(self) -> str | None:
        """What was changed, or None."""
        return "; ".join(remedy.words for remedy in self.remedies) or None


@dataclass(frozen=True)
class Runner:
    """Runs pw.x on ``cores`` cores; a run ends after ``time_limit_s``."""

    reference: EspressoReference
    cores: int
    time_limit_s: float

    def command(self, program: str = "pw.x") -> list[str]:
        """Return the command of pw.x, or of another program of Quantum ESPRESSO in its place."""
        template = self.reference.command or (
            "pw.x" if self.cores == 1 else "mpirun -np {cores} pw.x"
        )
        words = shlex.split(template.replace("{cores}", str(self.cores)))
        return [re.sub(r"(^|/)pw\.x$", rf"\g<1>{program}", word) for word in words]

    def version(self) -> str:
        """Version of pw.x.

        Raises
        ------
        PhonsmithError
            pw.x cannot be run.
        """
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / OUTPUT
            finished = run_child(
                self.command(), Path(folder), 1, MPI_ENVIRONMENT, output=output, time_limit_s=60
            )
            text = output.read_text(errors="replace")
        found = re.search(r"Program PWSCF\s+v\.(\S+)", text)
        if found is None:
            hint = " ".join(text.split())[:200]
            raise PhonsmithError(
                f"'{shlex.join(self.command())}' {finished.ending}{': ' if hint else ''}{hint}; "
                "install Quantum ESPRESSO or set reference.command"
            )
        return found[1]

    def converge(
        self, subject: Subject, start: Start, folder: Path, density: LastDensity | None = None
    ) -> Run:
        """Run pw.x; after each failure, repeat the run with the next remedy until none is left.

        Parameters
        ----------
        subject
            Cell, pseudopotentials, k-points and version of pw.x.
        start
            Settings of the first run.
        folder
            Folder for the runs.
        density
            Charge density of an earlier run, used if ``start.from_density``.

        Raises
        ------
        RunFailed
            The last failure, and what was tried.
        """
        start = replace(start, pools=gcd(start.pools, self.cores))
        tried: list[Remedy] = []
        while True:
            place = folder / f"try{len(tried)}"
            try:
                place.mkdir()
                if start.from_density and density is not None:
                    density.put(place / SCRATCH / f"{PREFIX}.save")
                return replace(self._run(subject, start, place), remedies=tuple(tried))
            except OSError as error:
                raise RunFailed("disk", f"{place} cannot be written: {error.strerror}") from None
            except RunFailed as told:
                failed = _on_full_disk(place) or told
                remedy = next_remedy(failed.kind, tried, start)
                if remedy is None:
                    words = "; ".join(one.words for one in tried)
                    after = f", also with {words}" if tried else ""
                    raise RunFailed(failed.kind, f"{failed}{after}") from None
                print(f"{failed}: trying {remedy.words}", flush=True)
                tried.append(remedy)
                start = remedy.change(start)

    def _run(self, subject: Subject, start: Start, folder: Path) -> Run:
        settings = start.settings
        if start.from_density:
            # a good density must not be accepted with wavefunctions that are not
            accurate = {"startingpot": "file", "diago_thr_init": settings["electrons"]["conv_thr"]}
            settings = start.changed({"electrons": accurate}).settings
        write_input(folder, subject, self.reference, settings)
        finished = self.execute([*self.command(), "-nk", str(start.pools), "-in", INPUT], folder)
        text = judged(finished, folder / OUTPUT, self.time_limit_s)
        save = folder / SCRATCH / f"{PREFIX}.save"
        xml = save / "data-file-schema.xml"
        result = read_pw(text, xml, settings["electrons"]["conv_thr"])
        check_same(result.atoms, subject.cell)
        return Run(result, finished, save)

    def ph(self, folder: Path) -> str:
        """Return the output of ph.x for Born charges, after a run of pw.x in the folder."""
        (folder / "espresso.phi").write_text(ph_input())
        finished = self.execute([*self.command("ph.x"), "-in", "espresso.phi"], folder, PH_OUTPUT)
        text = judged(finished, folder / PH_OUTPUT, self.time_limit_s)
        if "JOB DONE" not in text:
            raise RunFailed("incomplete", "ph.x did not finish")
        return text

    def execute(self, command: list[str], folder: Path, output: str = OUTPUT) -> Finished:
        """Run a program in a folder and write its output to a file there.

        Parameters
        ----------
        command
            Program and arguments.
        folder
            Folder to run in.
        output
            Name of the output file.

        Raises
        ------
        PhonsmithError
            The program cannot be started.
        """
        finished = run_child(
            command,
            folder,
            1,
            MPI_ENVIRONMENT,
            output=folder / output,
            time_limit_s=self.time_limit_s,
        )
        if finished.cannot_start:
            raise PhonsmithError(
                f"'{shlex.join(command)}' {finished.ending}; install Quantum ESPRESSO or set "
                "reference.command"
            )
        return finished


def _on_full_disk(folder: Path) -> RunFailed | None:
    """pw.x may end with exit status 0 and half of its output where the disk is full."""
    if shutil.disk_usage(folder).free < SPACE_LEFT_BYTES:
        return RunFailed("disk", f"the disk of {folder.parents[1]} is full")
    return None


def judged(finished: Finished, output: Path, time_limit_s: float) -> str:
    """Return the output of a program if it ended with exit status 0.

    Parameters
    ----------
    finished
        End of the program.
    output
        File with its output.
    time_limit_s
        Time limit in s, for the message.

    Raises
    ------
    RunFailed
        The exit status is not 0; with the reason found in the output.
    """
    text = output.read_text(errors="replace")
    crash = output.with_name("CRASH")
    if crash.exists():
        text += crash.read_text(errors="replace")
    if finished.timed_out:
        raise RunFailed("time", f"out of time: ended after {time_limit_s / 60:.3g} minutes")
    if finished.returncode == 0:
        return text
    if reason := reason_in(text):
        raise reason
    if finished.signal == "SIGXFSZ":
        raise RunFailed("disk", "a file became larger than the system allows")
    if finished.signal == "SIGKILL" or "signal 9" in text:
        raise RunFailed("killed", f"killed: {finished.ending}")
    line = reason_of(text)
    raise RunFailed("crashed", f"pw.x crashed: {finished.ending}{', ' if line else ''}{line}")
