"""Classes that check more than the JSON schema that pydantic writes for them."""

from decimal import Decimal

from pydantic import BaseModel, Field, HttpUrl, field_validator


class Offer(BaseModel):
    """An offer."""

    price: Decimal = Field(gt=0, max_digits=6, decimal_places=2)
    page: HttpUrl
    parts: set[int]


class CheckedOffer(Offer):
    """An offer with a validator."""

    name: str

    @field_validator("name")
    @classmethod
    def known(cls, name):
        raise ValueError(f"{name} is not known")
