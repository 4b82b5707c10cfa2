"""A real SLURM on this machine: two nodes, one in partition cpu, one with fake GPUs in gpu.

Needs root, and Debian's packages slurm-wlm and munge; only the loopback interface is used. Nodes
claim more cores and memory than there are, so that SLURM, and not the machine, says what fits.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ETC = Path("/etc/slurm")
"""Where SLURM's commands look: Snakemake's job step drops SLURM_CONF from the environment."""

CONFIGURATION = """
ClusterName=phonsmith
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# jobs of a lost node may start again after as long as a credential lives
AuthInfo=socket={folder}/run/munge.socket,cred_expire=10
CredType=cred/munge
SlurmctldPort=26817
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmdLogFile={folder}/log/slurmd-%n.log
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
# no cgroups needed: processes are found by their group, memory is looked at every two seconds
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,sched_interval=5,batch_sched_delay=0,sched_min_interval=0
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
# ended jobs stay in the controller's records
MinJobAge=86400
EnforcePartLimits=ALL
KillWait=3
OverTimeLimit=0
SlurmdTimeout=300
ReturnToService=2
NodeName=c1 NodeHostname={host} NodeAddr=127.0.0.1 Port=27001 CPUs=8 RealMemory=16000
NodeName=g1 NodeHostname={host} NodeAddr=127.0.0.1 Port=27002 CPUs=8 RealMemory=16000 Gres=gpu:2
PartitionName=cpu Nodes=c1 Default=YES MaxTime=1-0 DefaultTime=60 State=UP
PartitionName=gpu Nodes=g1 MaxTime=1-0 DefaultTime=60 State=UP
"""

GPUS = """
AutoDetect=off
NodeName=g1 Name=gpu File={folder}/dev/gpu[0-1]
"""

NODES = ("c1", "g1")


class Cluster:
    """The daemons and what they know of jobs. Use it as a context."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="phonsmith-slurm-", dir="/tmp"))
        self.links: list[Path] = []

    def __enter__(self) -> "Cluster":
        try:
            self._configure()
            self._munge()
            self.start_controller()
            for node in NODES:
                subprocess.run(["slurmd", "-N", node], check=True)
            self._wait_for_nodes()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            self.cancel_all()
        for name in (*(f"slurmd-{node}" for node in NODES), "slurmctld", "munged"):
            self._end(name)
        for link in self.links:
            link.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            ETC.rmdir()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- daemons -----------------------------------------------------------------------------

    def _configure(self) -> None:
        folder = self.folder
        folder.chmod(0o755)
        for part in ("etc", "run", "log", "state", "dev", *(f"spool/{node}" for node in NODES)):
            (folder / part).mkdir(parents=True)
        places = {"folder": folder, "host": socket.gethostname().split(".")[0]}
        for gpu in range(2):  # a character device each; nothing happens on it
            os.mknod(folder / f"dev/gpu{gpu}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        texts = {"slurm": CONFIGURATION, "gres": GPUS, "cgroup": "CgroupPlugin=autodetect"}
        ETC.mkdir(exist_ok=True)
        for name, text in texts.items():
            file = folder / f"etc/{name}.conf"
            file.write_text(text.format(**places).lstrip())
            link = ETC / file.name
            if link.is_symlink() and not link.exists():  # of a test run that was killed
                link.unlink()
            if link.exists():
                raise RuntimeError(f"{link}: this machine has a SLURM already")
            link.symlink_to(file)
            self.links.append(link)

    def _munge(self) -> None:
        key, run = self.folder / "etc/munge.key", self.folder / "run"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        run.chmod(0o755)
        subprocess.run(
            [
                *("munged", "--force", f"--key-file={key}", f"--socket={run}/munge.socket"),
                *(f"--pid-file={run}/munged.pid", f"--log-file={self.folder}/log/munged.log"),
                f"--seed-file={run}/munged.seed",
            ],
            check=True,
        )

    def start_controller(self) -> None:
        """Start slurmctld; after :meth:`stop_controller` with all that it knew."""
        subprocess.run(["slurmctld"], check=True)
        if not wait_until(lambda: run("scontrol", "ping").returncode == 0, 60, poll=0.2):
            raise RuntimeError(f"slurmctld does not answer:\n{self._logs()}")

    def stop_controller(self) -> None:
        """As if the machine of the controller was restarted: jobs go on, commands fail."""
        self._end("slurmctld")

    def _end(self, name: str) -> None:
        file = self.folder / f"run/{name}.pid"
        try:
            pid = int(file.read_text())
            os.kill(pid, signal.SIGTERM)
        except (OSError, ValueError):
            return
        if not wait_until(lambda: not Path(f"/proc/{pid}").exists(), 10, poll=0.1):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def _wait_for_nodes(self) -> None:
        up = {"idle", "mixed", "allocated", "completing"}

        def all_up() -> bool:
            states = run("sinfo", "-h", "-N", "-o", "%T").stdout.split()
            return len(states) == len(NODES) and up.issuperset(states)

        if not wait_until(all_up, 120, poll=0.5):
            raise RuntimeError(f"SLURM did not come up:\n{self._logs()}")

    def _logs(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in (self.folder / "log").iterdir())

    def lose_node(self, node: str) -> None:
        """Set a node down, as SLURM does where it does not answer, and up again."""
        update = ["scontrol", "update", f"nodename={node}", "reason=test"]
        subprocess.run([*update, "state=down"], check=True)
        time.sleep(2)
        run(*update, "state=resume")  # refused where slurmd was faster
        self._wait_for_nodes()

    def cancel_all(self) -> None:
        """End all jobs, and wait for that."""
        run("scancel", "--full", "--user=root")
        wait_until(lambda: not run("squeue", "-h").stdout.strip(), 20, poll=0.2)

    # --- what SLURM knows ----------------------------------------------------------------------

    def jobs(self, folder: Path) -> list[dict[str, str]]:
        """SLURM's records of all jobs that were submitted from a folder, oldest first."""
        lines = run("scontrol", "show", "job", "--oneliner").stdout.splitlines()
        jobs = [dict(re.findall(r"(\S+?)=(.*?)(?= \S+?=|$)", line)) for line in lines]
        return [job for job in jobs if job.get("WorkDir") == str(folder)]

    def unfinished(self, folder: Path) -> list[str]:
        """Ids of the jobs from a folder that wait or run."""
        alive = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")
        return [job["JobId"] for job in self.jobs(folder) if job["JobState"] in alive]


def rule_of(job: dict[str, str]) -> str:
    """The rule of a job, which Snakemake writes into its comment."""
    return job["Comment"].strip().removeprefix("rule_").partition("_wildcards_")[0]


def allocated(job: dict[str, str]) -> tuple[str, int, int, int, int]:
    """Partition, cores, GPUs, memory in MB and time limit in minutes of a job."""
    given = dict(pair.split("=") for pair in job["TRES"].split(","))
    number, unit = re.fullmatch(r"([\d.]+)([MG])", given["mem"]).groups()
    days, _, clock = job["TimeLimit"].rpartition("-")
    hours, minutes, _ = map(int, clock.split(":"))
    return (
        job["Partition"],
        int(given["cpu"]),
        int(job.get("TresPerJob", "gres:gpu:0").rpartition(":")[2]),
        round(float(number) * {"M": 1, "G": 1024}[unit]),
        24 * 60 * int(days or 0) + 60 * hours + minutes,
    )


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """A command of SLURM."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def wait_until(condition: Callable[[], object], seconds: float, poll: float = 1.0) -> bool:
    """Whether the condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(poll)
    return True
