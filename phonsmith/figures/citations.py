"""Publications to cite for a campaign."""

from phonsmith.campaign.model import Campaign
from phonsmith.fits.kind import TrainedKind
from phonsmith.fits.registry import kind_of, potential_named
from phonsmith.labels.registry import method_kind, potential_of
from phonsmith.potentials.ready import READY

METHOD = (
    "C. Ertural et al., Phonon-accurate machine-learning potentials from automated workflows "
    "(2025): displaced and rattled supercells, and the RMSE used here (equations 1 and 2).",
    "J. George, G. Hautier, A. P. Bartók, G. Csányi, V. L. Deringer, J. Chem. Phys. 153, 044104 "
    "(2020): phonon accuracy of GAP fits, force-proportional regularisation.",
    "J. D. Morrow, V. L. Deringer, J. Chem. Phys. 157, 104105 (2022): indirect learning and "
    "physically guided validation.",
)
"""Publications of the method."""

_ALWAYS = (
    "phonopy: A. Togo, L. Chaput, T. Tadano, I. Tanaka, J. Phys.: Condens. Matter 35, 353001 "
    "(2023); A. Togo, J. Phys. Soc. Jpn. 92, 012001 (2023).",
    "ASE: A. H. Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017).",
    "pymatgen: S. P. Ong et al., Comput. Mater. Sci. 68, 314 (2013).",
    "spglib: A. Togo, K. Shinohara, I. Tanaka, Sci. Technol. Adv. Mater. Meth. 4, 2384822 (2024).",
    "Snakemake: F. Mölder et al., F1000Research 10, 33 (2021).",
)
_CONDUCTIVITY = (
    "phono3py: A. Togo, L. Chaput, I. Tanaka, Phys. Rev. B 91, 094306 (2015); direct solution: "
    "L. Chaput, Phys. Rev. Lett. 110, 265506 (2013).",
    "symfc: A. Seko, A. Togo, Phys. Rev. B 110, 214302 (2024).",
    "κ_SRME: B. Póta, P. Ahlawat, G. Csányi, M. Simoncelli, arXiv:2408.00755.",
)
_PATHS = {
    "setyawan-curtarolo": "Band path: W. Setyawan, S. Curtarolo, Comput. Mater. Sci. 49, 299 "
    "(2010).",
    "seekpath": "Band path (seekpath): Y. Hinuma et al., Comput. Mater. Sci. 128, 140 (2017).",
}


def software(campaign: Campaign) -> list[str]:
    """Return codes and potentials of the campaign, with their publications."""
    kinds = [kind_of(fit) for fit in campaign.fits.values()]
    named = [potential_named(fit) for fit in campaign.fits.values()]
    trained = {kind.calculator: kind.citation for kind in kinds if isinstance(kind, TrainedKind)}
    method = method_kind(campaign.reference).citation
    used = list(trained)
    used += [source.calculator for source in (*named, potential_of(campaign.reference)) if source]
    own = [name for name in dict.fromkeys(used) if name not in READY]
    return [
        *_ALWAYS,
        _PATHS[campaign.phonons.band_path],
        *(_CONDUCTIVITY if campaign.conductivity else ()),
        *(ready.citation for name, ready in READY.items() if name in used),
        *(trained.get(name) or f"{name}: see its documentation." for name in own),
        *([method] if method else ()),
    ]


def data(campaign: Campaign) -> list[str]:
    """Return published data sets of the campaign."""
    sources = [database.source for database in campaign.datasets.databases.values()]
    if campaign.recorded:
        sources.insert(0, campaign.recorded.source)
    return [
        f"{source.name}: {source.url or 'local files, named in the settings'}" for source in sources
    ]
