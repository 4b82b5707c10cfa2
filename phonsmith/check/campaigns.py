"""Check campaign and site files in seconds, without running or downloading anything.

    python -m phonsmith.check                              # the campaigns of config/config.yaml
    python -m phonsmith.check config/campaigns/mine.yaml   # or by name: mine

Reads settings, crystals, pseudopotentials, model files, data sets in mirror folders and
``config/site.yaml``, and prints a line for each problem and each unusual crystal. Of one campaign,
all invalid keys and values are reported at once, then all contradictions between settings, and then
all problems of files: check again after corrections. The exit status is 1 if there are problems.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from phonsmith.campaign.model import Campaign
from phonsmith.campaign.reading import load_campaign
from phonsmith.check.crystals import doubts
from phonsmith.check.inputs import check_inputs
from phonsmith.check.made import CAMPAIGNS, made_by_a_campaign
from phonsmith.files.errors import PhonsmithError, Problems
from phonsmith.files.problems import listed, nearest
from phonsmith.files.yaml_files import load_yaml
from phonsmith.running.site import Run, load_config, load_site
from phonsmith.running.terminal import campaigns_here, errors_in_words, say

CONFIG = Path("config/config.yaml")
SITE = Path("config/site.yaml")


def campaign_file(name: str) -> Path:
    """Return the file of a campaign, given by its path or its name.

    Raises
    ------
    PhonsmithError
        There is none.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else CAMPAIGNS / f"{name}.yaml"
    if not path.exists():
        if (other := path.with_suffix(".yml")).exists():
            raise PhonsmithError(f"{path}: no such campaign file; rename {other} to {path.name}")
        known = campaigns_here(path.parent) or campaigns_here()
        raise PhonsmithError(
            f"{path}: no such campaign file{nearest(path.stem, known) or ';'} available campaigns: "
            f"{listed(known) or 'none'}"
        )
    return path


def checked(path: Path, mirrors: Sequence[Path]) -> list[str]:
    """Check one campaign and the files it names; return warnings and a summary, a line each.

    Raises
    ------
    PhonsmithError
        All problems that can be found at once, a line each.
    """
    campaign = load_campaign(path)
    crystals = check_inputs(campaign, path, mirrors, made=made_by_a_campaign)
    warnings = [f"{path}: warning: {doubt}" for doubt in doubts(campaign, crystals)]
    return [*warnings, f"{path}: no problems. {summary(campaign)}"]


def summary(campaign: Campaign) -> str:
    """Return what a campaign computes, in a line."""
    crystals = len(campaign.structures)
    parts = [
        f"{crystals} crystal{'s' if crystals > 1 else ''}",
        f"reference {campaign.level_of_theory}",
        f"fits {listed(list(campaign.fits)) or 'none'}",
    ]
    asked = ("thermodynamics", "transitions", "conductivity", "loop")
    parts += [name for name in asked if getattr(campaign, name)]
    return "; ".join(parts)


def check(names: Sequence[str] = ()) -> tuple[list[str], list[PhonsmithError]]:
    """Check config.yaml, the site file and campaigns: report passed checks and problems.

    Without names those of config.yaml.
    """
    good, problems = [], Problems()
    run: Run | None = None
    if CONFIG.exists() or not names:
        with problems.of():
            run = load_config(load_yaml(CONFIG, "settings file"))
    with problems.of():
        load_site(SITE)
        good += [f"{SITE}: no problems"] if SITE.exists() else []
    mirrors = [Path(folder) for folder in run.mirrors] if run else []
    for name in names or (run.campaigns if run else []):
        with problems.of():
            good.extend(checked(campaign_file(name), mirrors))
    return good, problems.found


def report(names: Sequence[str] = ()) -> bool:
    """Print what :func:`check` finds; whether everything is good."""
    good, problems = check(names)
    for line in good:
        print(line, flush=True)
    for error in problems:
        say(error)
    if problems:
        say("nothing was run; fix these problems first")
    return not problems


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m phonsmith.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "campaigns", nargs="*", help="names or files; default: the campaigns in config.yaml"
    )
    given = parser.parse_args(arguments)
    with errors_in_words():
        if not report(given.campaigns):
            sys.exit(1)
