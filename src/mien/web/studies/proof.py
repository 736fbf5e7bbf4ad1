"""That something of a study was erased: counted before, and looked for afterwards."""

from pydantic import BaseModel, Field


class Erased(BaseModel):
    """How much was erased."""

    rows: int = Field(description="of the database; of one viewer of a room: looks", examples=[1])
    files: int = Field(examples=[3])
    bytes: int = Field(examples=[48_213])


class Left(BaseModel):
    """What was found when it was looked for afterwards: nothing."""

    rows: int = Field(examples=[0])
    files: int = Field(examples=[0])


class Proof(BaseModel):
    """That something was erased."""

    erased: Erased
    left: Left
