"""All reference methods."""

from typing import Annotated

from pydantic import Field

from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.labels.vasp.settings import VaspReference

Reference = Annotated[
    CalculatorReference | RecordedReference | EspressoReference | VaspReference,
    Field(discriminator="method"),
]
