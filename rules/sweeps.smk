"""Phonon errors against the settings that a sweep varies."""


def swept_settings(wildcards):
    """Varied settings by sweep and fit: titles, and the keys below them."""
    settings = campaign(wildcards.campaign)
    return {
        name: {
            fit: values | sweep.settings_of(values) for fit, values in settings.swept(name).items()
        }
        for name, sweep in settings.sweeps.items()
    }


rule sweeps_table:
    """Tabulate RMSE of the fits of sweeps with the swept settings."""
    input:
        "results/{campaign}/tables/rmse.csv",
    output:
        reported("results/{campaign}/tables/sweeps.csv", "benchmarks", "sweeps"),
    log:
        "results/{campaign}/logs/tables/sweeps.log",
    localrule: True
    params:
        sweeps=swept_settings,
        version=VERSIONS["benchmarks"],
    message:
        "{wildcards.campaign}: table of sweeps"
    script:
        "../scripts/sweeps_table.py"


def sweep_of(wildcards):
    return look_up(wildcards, "sweeps/{sweep}")


def swept(wildcards):
    """The values of every fit of a sweep by title."""
    sweep_of(wildcards)  # stops at an unknown one
    return campaign(wildcards.campaign).swept(wildcards.sweep)


rule draw_sweep:
    """RMSE against one setting of the fits."""
    input:
        "results/{campaign}/tables/rmse.csv",
    output:
        reported("results/{campaign}/figures/sweep_{sweep}.{format}", "benchmarks", "sweep"),
    log:
        "results/{campaign}/logs/figures/sweep_{sweep}.{format}.log",
    localrule: True
    params:
        swept=swept,
        axis_label=lambda wildcards: sweep_of(wildcards).label,
        formats=formats_drawn,
        dpi=setting("figures/dpi"),
        version=VERSIONS["figures"],
    message:
        "{wildcards.campaign}: drawing sweep {wildcards.sweep}"
    script:
        "../scripts/draw_sweep.py"


STAGES["sweeps"] = Part(
    tables=lambda name: {"sweeps.csv": None} if campaign(name).sweeps else {},
    figures=lambda name: {f"sweep_{sweep}": None for sweep in campaign(name).sweeps},
)
