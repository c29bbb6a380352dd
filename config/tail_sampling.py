"""Which traces are kept, by what their spans say together: the settings of the processor `tail_sampling`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, create_model, field_validator, model_validator
from pydantic_core import PydanticKnownError

from config.section import Section
from config.tail_policies import (
    BooleanAttributePolicy,
    BytesLimitingPolicy,
    Key,
    LatencyPolicy,
    NumericAttributePolicy,
    OttlConditionPolicy,
    ProbabilisticPolicy,
    RateLimitingPolicy,
    SpanCountPolicy,
    StatusCodePolicy,
    StringAttributePolicy,
    TraceStatePolicy,
)
from config.values import Count, Duration, PositiveCount, refuse_booleans

Percentage = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), BeforeValidator(refuse_booleans)]
Traces = Annotated[int, Field(ge=1, le=2**24), BeforeValidator(refuse_booleans)]
Remembered = Annotated[int, Field(ge=0, le=2**26), BeforeValidator(refuse_booleans)]

_PLAIN_TYPES = ("always_sample", "trace_flags")
"""Types of policies without settings."""


class PlainPolicy(Section):
    """A policy that looks at a trace."""

    name: Key
    """What it is called in metrics and explanations."""
    type: str
    """Which traces it is for; the settings stand under a key of this name."""
    latency: LatencyPolicy | None = None
    """The settings of this type."""
    numeric_attribute: NumericAttributePolicy | None = None
    """The settings of this type."""
    probabilistic: ProbabilisticPolicy | None = None
    """The settings of this type."""
    status_code: StatusCodePolicy | None = None
    """The settings of this type."""
    string_attribute: StringAttributePolicy | None = None
    """The settings of this type."""
    boolean_attribute: BooleanAttributePolicy | None = None
    """The settings of this type."""
    trace_state: TraceStatePolicy | None = None
    """The settings of this type."""
    rate_limiting: RateLimitingPolicy | None = None
    """The settings of this type."""
    bytes_limiting: BytesLimitingPolicy | None = None
    """The settings of this type."""
    span_count: SpanCountPolicy | None = None
    """The settings of this type."""
    ottl_condition: OttlConditionPolicy | None = None
    """The settings of this type."""

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        known = (*_PLAIN_TYPES, *cls.types_with_settings())
        if value not in known:
            raise PydanticKnownError("literal_error", {"expected": ", ".join(map(repr, known))})
        return value

    @classmethod
    def types_with_settings(cls) -> tuple[str, ...]:
        """Types of policies that have settings under a key of the same name."""
        return tuple(name for name in cls.model_fields if name not in ("name", "type"))

    @model_validator(mode="after")
    def _settings_of_its_type(self) -> Self:
        for name in self.types_with_settings():
            if getattr(self, name) is not None and name != self.type:
                raise ValueError(f"has settings under {name}, but its type is {self.type}")
        if self.type not in _PLAIN_TYPES and self.settings is None:
            raise ValueError(f"needs settings under {self.type}")
        return self

    @property
    def settings(self) -> Any:
        """The section that its type has; None for types without settings."""
        return None if self.type in _PLAIN_TYPES else getattr(self, self.type)

    def walk(self) -> Iterator["PlainPolicy"]:
        """The policy, and those that it asks, and those that they ask."""
        yield self
        for policy in getattr(self.settings, "policies", ()):
            yield from policy.walk()


class NotPolicy(Section):
    """Traces that another policy is not for."""

    not_sub_policy: PlainPolicy
    """The other policy."""

    @property
    def policies(self) -> tuple[PlainPolicy, ...]:
        """Those that are asked."""
        return (self.not_sub_policy,)


# `not` and `and` are no names that a class could declare.
InnerPolicy: type[PlainPolicy] = create_model(
    "InnerPolicy",
    __base__=PlainPolicy,
    __doc__="A policy within `and` or `drop`.",
    **{"not": (NotPolicy | None, Field(None, description="The settings of this type."))},  # type: ignore[call-overload]  # keywords
)


class AndPolicy(Section):
    """Traces that several policies are for."""

    and_sub_policy: Annotated[tuple[InnerPolicy, ...], Field(min_length=1)]
    """All of these; one is not asked where one before it is not for the trace."""

    @property
    def policies(self) -> tuple[PlainPolicy, ...]:
        """Those that are asked."""
        return self.and_sub_policy


class DropPolicy(Section):
    """Traces that are dropped, whatever other policies are for."""

    drop_sub_policy: Annotated[tuple[InnerPolicy, ...], Field(min_length=1)]
    """All of these are for the trace."""

    @property
    def policies(self) -> tuple[PlainPolicy, ...]:
        """Those that are asked."""
        return self.drop_sub_policy


SubPolicy: type[PlainPolicy] = create_model(
    "SubPolicy",
    __base__=InnerPolicy,
    __doc__="A policy within `composite`.",
    **{"and": (AndPolicy | None, Field(None, description="The settings of this type."))},  # type: ignore[call-overload]  # keywords
)


class RateAllocation(Section):
    """What a policy of `composite` gets."""

    policy: Key
    """The policy."""
    percent: Percentage
    """Its share of `max_total_spans_per_second`."""


class CompositePolicy(Section):
    """Traces that one of several policies is for, which share a rate."""

    max_total_spans_per_second: PositiveCount
    """So many spans of such traces in each second."""
    policy_order: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the policies, in the order in which they are asked: the first that is for the trace and has something left of its
    share keeps it."""
    composite_sub_policy: Annotated[tuple[SubPolicy, ...], Field(min_length=1)]
    """The policies."""
    rate_allocation: tuple[RateAllocation, ...] = ()
    """Their shares; policies that have none here divide what is left into equal shares."""

    @model_validator(mode="after")
    def _one_share_each(self) -> Self:
        names = [policy.name for policy in self.composite_sub_policy]
        _check_unique("composite_sub_policy", names)
        _check_unique("policy_order", self.policy_order)
        _check_unique("rate_allocation", [each.policy for each in self.rate_allocation])
        if set(names) != set(self.policy_order):
            odd = ", ".join(sorted(set(names) ^ set(self.policy_order)))
            raise ValueError(
                f"must name the same policies in composite_sub_policy and policy_order: {odd} is in one of them alone"
            )
        unknown = [each.policy for each in self.rate_allocation if each.policy not in names]
        if unknown:
            raise ValueError(f"must have shares for policies of composite_sub_policy only, not for {unknown[0]}")
        if sum(each.percent for each in self.rate_allocation) > 100:
            raise ValueError("must have shares of 100 percent at most in rate_allocation")
        return self

    @property
    def policies(self) -> tuple[PlainPolicy, ...]:
        """Those that are asked."""
        return self.composite_sub_policy

    @property
    def spans_per_second(self) -> Mapping[str, float]:
        """Name of each policy → its share in spans a second."""
        given = {each.policy: each.percent for each in self.rate_allocation}
        others = [name for name in self.policy_order if name not in given]
        equal = (100 - sum(given.values())) / len(others) if others else 0.0
        return {name: self.max_total_spans_per_second * given.get(name, equal) / 100 for name in self.policy_order}


class Policy(SubPolicy):
    """A policy: which traces are kept, or dropped."""

    drop: DropPolicy | None = None
    """The settings of this type."""
    composite: CompositePolicy | None = None
    """The settings of this type."""


class DecisionCache(Section):
    """How long decisions are remembered, for spans that come late."""

    sampled_cache_size: Remembered = 0
    """Traces that were kept; as many as `num_traces` where that is more."""
    non_sampled_cache_size: Remembered = 0
    """Traces that were dropped; as many as `num_traces` where that is more."""


class TailSamplingProcessor(Section):
    """Keeps or drops whole traces, by what their spans say together."""

    policies: Annotated[tuple[Policy, ...], Field(min_length=1)]
    """Who is for which traces. `drop` decides first; then a policy with `invert_match` can forbid, and of all others one is
    enough."""
    decision_wait: Annotated[Duration, Field(gt=0)] = Duration.parse("30s")
    """A trace is decided this long after its first span."""
    decision_wait_after_root_received: Duration = Duration.parse("0")
    """A trace is decided this long after its root span, if that is sooner; 0 does not look at root spans."""
    num_traces: Traces = 50_000
    """So many traces are held at most."""
    max_bytes: PositiveCount = 268_435_456
    """Spans take so many bytes in memory at most while they are held. The Collector has no such key."""
    block_on_overflow: bool = False
    """Let further spans wait where too much is held; otherwise the oldest traces are decided before their time."""
    expected_new_traces_per_sec: Count = 0
    """Taken for the sake of files that have it: tables grow as they are needed."""
    decision_cache: DecisionCache = DecisionCache()
    """How long decisions are remembered, for spans that come late."""
    sample_on_first_match: bool = False
    """Do not ask policies behind the first that is for a trace; so rate limits behind it do not count its spans."""
    drop_pending_traces_on_shutdown: bool = False
    """When the daemon stops, drop what is not decided yet; otherwise it is decided by what is there. With a journal neither is
    needed: what is not decided is read again at the next start."""
    maximum_trace_size_bytes: Count = 0
    """Drop traces at once that take more bytes than this as OTLP; 0 is no limit."""
    record_policy: bool = False
    """Write into each kept span which policy decided, under `tailsampling.policy`."""

    reference_only: ClassVar[Mapping[str, str]] = {
        "sampling_strategy": "leave it out: each span is looked at when it arrives, and traces are decided as a whole",
        "num_shards": "leave it out: policies look at all spans of a batch at once, which needs no shards",
        "tail_storage": "leave it out: what is not decided outlives a restart in the journal",
    }

    @property
    def remembered(self) -> tuple[int, int]:
        """How many traces are remembered that were kept, and how many that were dropped."""
        cache = self.decision_cache
        return max(cache.sampled_cache_size, self.num_traces), max(cache.non_sampled_cache_size, self.num_traces)

    @field_validator("policies")
    @classmethod
    def _unique_names(cls, value: tuple[Policy, ...]) -> tuple[Policy, ...]:
        _check_unique("policies", [policy.name for policy in value])
        return value


def _check_unique(where: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"must have each name once in {where}, not {twice[0]} twice")
