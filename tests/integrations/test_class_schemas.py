"""What a pydantic class demands is enforced while generating, or reported before it."""

import enum
import json
import warnings
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Annotated, Literal
from uuid import UUID

import pytest
from pydantic import (
    UUID1,
    UUID4,
    UUID7,
    AfterValidator,
    AnyHttpUrl,
    AwareDatetime,
    Base64Bytes,
    Base64Str,
    BaseModel,
    Field,
    FilePath,
    FileUrl,
    HttpUrl,
    IPvAnyAddress,
    IPvAnyNetwork,
    Json,
    MySQLDsn,
    NaiveDatetime,
    NewPath,
    PastDate,
    PostgresDsn,
    StringConstraints,
    create_model,
    field_validator,
    model_validator,
)

from sharedllm_core import Constraint, InputError, SchemaWarning
from sharedllm_integrations._shared.class_schemas import class_schema, warn_of_checks
from tests import tiny_engine

QUESTION = "What is the notice period?"


class Color(enum.Enum):
    """A color."""

    RED = "red"
    BLUE = "blue"


#: Each of these failed validation, or was refused, with the schema that pydantic writes.
ENFORCED = {
    "decimal": Decimal,
    "positive decimal": Annotated[Decimal, Field(gt=0)],
    "price": Annotated[Decimal, Field(gt=0, max_digits=5, decimal_places=2)],
    "few places": Annotated[Decimal, Field(decimal_places=3)],
    "few digits": Annotated[Decimal, Field(max_digits=3)],
    "few digits from a number": Annotated[Decimal, Field(max_digits=3, ge=5)],
    "web page": HttpUrl,
    "any web page": AnyHttpUrl,
    "file URL": FileUrl,
    "PostgreSQL": PostgresDsn,
    "MySQL": MySQLDsn,
    "UUID 1": UUID1,
    "UUID 4": UUID4,
    "UUID 7": UUID7,
    "any address": IPvAnyAddress,
    "any network": IPvAnyNetwork,
    "network": IPv4Network | IPv6Network,
    "interface": IPv4Interface | IPv6Interface,
    "set": set[int],
    "set of decimals": set[Decimal],
    "frozen set": frozenset[Literal["a", "b"]],
    "local time": NaiveDatetime,
    "time with a zone": AwareDatetime,
    "base64": Base64Bytes,
    "stripped": Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=5)],
    "keys are numbers": dict[int, str],
    "keys are dates": dict[date, int],
    "keys are UUIDs": dict[UUID, int],
    "keys are names": dict[Color, int],
    "keys are addresses inside": dict[str, dict[Literal["a", "b"], HttpUrl]],
    "fraction": Fraction,
    "complex number": complex,
    "optional": HttpUrl | None,
}


@pytest.fixture(scope="module")
def engine(checkpoint):
    return tiny_engine.make_engine(checkpoint)


@pytest.mark.parametrize("kind", ENFORCED.values(), ids=ENFORCED.keys())
def test_what_a_grammar_can_enforce_is_enforced_and_nothing_is_reported(engine, kind):
    model = create_model("Answer", value=(kind, ...))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_checks(model)
    constraint = Constraint.json_schema(class_schema(model))
    for seed, temperature in enumerate((9.0, 1.0)):
        options = {"temperature": temperature, "seed": seed, "max_new_tokens": 60, "num_evidence": 0}
        text = engine.ask(QUESTION, constraint=constraint, **options).text
        model.model_validate_json(text)
        model.model_validate(json.loads(text))


def is_seven(number):
    """A validator of a user."""
    if number != 7:
        raise ValueError("not seven")
    return number


class Room(BaseModel):
    """A room with validators."""

    area: int
    name: str

    @field_validator("area")
    @classmethod
    def positive(cls, value):
        return value

    @model_validator(mode="after")
    def consistent(self):
        return self


class House(BaseModel):
    """A house of rooms."""

    rooms: list[Room]


REPORTED = {
    "Answer.value: the validator is_seven may refuse it": Annotated[int, AfterValidator(is_seven)],
    "Room.area: the validator positive may refuse it; Room: the validator consistent may refuse it": Room,
    "Room.area: the validator positive may refuse it": House,
    "Answer.value: equal items are merged, and fewer than 2 may remain": Annotated[set[Color], Field(min_length=2)],
    "Answer.value: it must be in the past": PastDate,
    "Answer.value: it has bounds (ge) in time": Annotated[timedelta, Field(ge=timedelta(0))],
    "Answer.value: it has bounds (lt) in time": Annotated[datetime, Field(lt=datetime(2030, 1, 1))],
    "Answer.value: the file must exist": FilePath,
    "Answer.value: its folder must exist": NewPath,
    "Answer.value: the text must be JSON": Json,
    "Answer.value: what base64 encodes must be text": Base64Str,
    "Answer.value: not every text is one of its keys": dict[float, int],
    "Answer.value: its format is phone": Annotated[str, Field(json_schema_extra={"format": "phone"})],
}


@pytest.mark.parametrize(("reason", "kind"), REPORTED.items(), ids=REPORTED.keys())
def test_what_it_cannot_is_reported_with_the_field_the_reason_and_the_remedy(reason, kind):
    model = create_model("Answer", value=(kind, ...))
    with pytest.warns(SchemaWarning) as warned:
        warn_of_checks(model, "ask again")
    [message] = [str(one.message) for one in warned]
    assert all(part in message for part in reason.split("; "))
    assert message.startswith("answers fit the schema of Answer")
    assert message.endswith("; ask again")
    Constraint.json_schema(class_schema(model))


def test_a_class_that_has_no_schema_is_refused():
    model = create_model("Answer", value=(type, ...), __config__={"arbitrary_types_allowed": True})
    with pytest.raises(InputError, match="Answer has no JSON schema"):
        class_schema(model)


def test_a_class_that_writes_its_schema_itself_keeps_it():
    class Page(BaseModel):
        """A page."""

        address: HttpUrl

        @classmethod
        def model_json_schema(cls):
            return {"type": "object", "properties": {"address": {"type": "string", "enum": ["https://a.example"]}}}

    assert class_schema(Page) == Page.model_json_schema()


def test_any_other_class_keeps_pydantics_schema():
    class Lease(BaseModel):
        """A lease."""

        tenant: str
        months: int = Field(ge=1, le=120)
        begins: date
        parts: list["Lease"] = []
        kinds: dict[str, Color]
        page: str = Field(pattern="^[A-Z]+$", max_length=3)

    assert class_schema(Lease) == Lease.model_json_schema()
