"""The one exception tree. It knows no HTTP: `api.problems` maps each class to a status once.

MarketlensError
├── InvalidInput            what was given can't be used
│   ├── InvalidPhoto        the bytes say a format that is taken but do not decode
│   ├── UnsupportedPhoto    not a photo of a format that is taken
│   ├── UnsupportedBody     a request of a media type that the call does not take
│   ├── MalformedBody       a request whose body is not what its media type says
│   ├── MalformedIdempotencyKey  a key that is none
│   ├── IdempotencyKeyReused     a key that another request has
│   └── InvalidFeed         a feed's file or its columns are not as the dialect wants them
├── TooLarge                more bytes than allowed
│   └── HeadTooLarge        in the head of a request
├── TooSlow                 a request that does not come
├── Unauthenticated         no key, or an unknown one
│   └── KeyExpired          a key whose time is over
├── Forbidden               a known key without the scope
├── NotFound                no such thing
├── Conflict                not in the state that this needs
│   ├── ReindexRunning      one build at a time
│   ├── ChangedMeanwhile    not what who changes it has seen
│   └── IdempotencyInFlight  the first request with the same key is under way
├── CursorExpired           a page can't follow the one before any more
├── Unavailable             try again later
│   ├── NotReady            this process has not read yet what it needs
│   └── Misconfigured       it refuses, until somebody changes something
├── Overloaded              so much waits that it would take too long
│   └── RateLimited         so many requests of one caller
├── NothingIndexed          listings, but none embedded by this encoder
├── WeightsError            an encoder's weights
│   ├── WeightsMissing      none available
│   ├── WeightsRefused      there, but damaged, foreign or unsafe
│   ├── FidelityTooLow      an exported network's vectors differ too much
│   └── ExportTooSlow       an exported network is slower than its source
├── GenerationError         an index generation
│   ├── GenerationCorrupt   its files are not what its manifest says
│   └── RecallTooLow        measured under its target
├── UnreadableRecord        a stored record, written by a release that this one can't read
└── SetupError              the machine or its settings lack something
"""

from enum import IntEnum
from typing import ClassVar


class MarketlensError(Exception):
    """Base of everything this product raises on purpose; `str()` is one sentence for a person."""

    code: ClassVar[str] = "error"


class InvalidInput(MarketlensError):
    """What was given can't be used."""

    code = "invalid_input"


class InvalidPhoto(InvalidInput):
    """The bytes claim to be a supported photo but do not decode, or break a limit."""

    code = "invalid_photo"


class UnsupportedPhoto(InvalidInput):
    """The bytes are not a photo of a format that is taken."""

    code = "unsupported_photo"


class UnsupportedBody(InvalidInput):
    """The request's body is of a media type that this call does not take."""

    code = "unsupported_body"


class MalformedBody(InvalidInput):
    """The request's body is not what its media type says it is."""

    code = "malformed_body"


class MalformedIdempotencyKey(InvalidInput):
    """The `Idempotency-Key` of a request is not of its syntax."""

    code = "malformed_idempotency_key"


class IdempotencyKeyReused(InvalidInput):
    """The `Idempotency-Key` of a request was given to another one before."""

    code = "idempotency_key_reused"


class InvalidFeed(InvalidInput):
    """A feed's file is missing, or its columns are not the dialect's."""

    code = "invalid_feed"


class TooLarge(MarketlensError):
    """More bytes than allowed."""

    code = "too_large"


class HeadTooLarge(TooLarge):
    """The head of a request has more bytes or fields than allowed."""

    code = "head_too_large"


class TooSlow(MarketlensError):
    """A request came so slowly that it is not awaited any longer."""

    code = "request_timeout"


class Unauthenticated(MarketlensError):
    """No API key was given, or it is unknown."""

    code = "unauthenticated"


class KeyExpired(Unauthenticated):
    """The API key was valid until a time that has passed."""

    code = "key_expired"


class Forbidden(MarketlensError):
    """The API key lacks the scope."""

    code = "forbidden"


class NotFound(MarketlensError):
    """There is no such resource."""

    code = "not_found"


class Conflict(MarketlensError):
    """The resource is not in the required state."""

    code = "conflict"


class ReindexRunning(Conflict):
    """A reindex is already queued or running."""

    code = "reindex_running"


class ChangedMeanwhile(Conflict):
    """The resource is not as it was when the caller read it."""

    code = "changed_meanwhile"


class IdempotencyInFlight(Conflict):
    """The first request with the same `Idempotency-Key` has not ended."""

    code = "idempotency_in_flight"


class CursorExpired(MarketlensError):
    """A cursor of a search that can't be continued; search again."""

    code = "cursor_expired"


class Unavailable(MarketlensError):
    """Something this needs can't be reached now; trying again later may work."""

    code = "unavailable"


class Misconfigured(Unavailable):
    """Something this needs refuses to serve, until somebody changes it or the settings.

    What is running tries again, as if it could not be reached; a command that begins gives up.
    """

    code = "misconfigured"


class NotReady(Unavailable):
    """This process has not read yet what it needs; no outage, as everything can be reached."""

    code = "not_ready"


class Overloaded(MarketlensError):
    """So much is waiting that an answer would come too late; `retry_after_s` says when to ask."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(Overloaded):
    """A caller has made as many requests as it may in a while, or at once."""

    code = "rate_limited"


class NothingIndexed(MarketlensError):
    """There are listings, but no photo of theirs has been embedded by this encoder."""

    code = "nothing_indexed"


class WeightsError(MarketlensError):
    """An encoder's weights."""

    code = "weights"


class WeightsMissing(WeightsError):
    """No weights are available."""

    code = "weights_missing"


class WeightsRefused(WeightsError):
    """The weights are damaged, of another network, or unsafe to load."""

    code = "weights_refused"


class FidelityTooLow(WeightsError):
    """An exported network's vectors differ too much from those of the network it was made of."""

    code = "fidelity_too_low"


class ExportTooSlow(WeightsError):
    """An exported network is slower than the one it was made of."""

    code = "export_too_slow"


class GenerationError(MarketlensError):
    """An index generation."""

    code = "generation"


class GenerationCorrupt(GenerationError):
    """A generation's files are not what its manifest says."""

    code = "generation_corrupt"


class RecallTooLow(GenerationError):
    """A generation was measured under its recall target."""

    code = "recall_too_low"


class UnreadableRecord(MarketlensError):
    """A stored record was written by another release, in a form that this one can't read."""

    code = "unreadable_record"


class SetupError(MarketlensError):
    """The machine or its settings lack something; the sentence says what to do."""

    code = "setup"


class ExitCode(IntEnum):
    """How a command ends. One rule for all of them."""

    DONE = 0
    LOOK_AT_IT = 1
    """Done, but something is left to look at: rejected rows, problems, differences."""
    NOT_DONE = 2
    """Refused: wrong options, or a MarketlensError whose sentence says why."""
    BROKEN = 70
    """What sysexits.h calls EX_SOFTWARE: a defect, whose traceback is on standard error."""
    TRY_AGAIN = 75
    """What sysexits.h calls EX_TEMPFAIL: not done, but the same command may work later."""
    INTERRUPTED = 130
    """What a shell calls a command that Ctrl-C ended."""


def exit_code_of(error: Exception) -> ExitCode:
    """The exit code of a command that this error ended."""
    may_pass = isinstance(error, Unavailable) and not isinstance(error, Misconfigured)
    return ExitCode.TRY_AGAIN if may_pass else ExitCode.NOT_DONE


def sentence_of(error: Exception) -> str:
    """What a command says of an error, in one line: its sentence, and notes for the operator.

    Notes (`add_note`) may name servers and paths, which callers of the API are not told.
    """
    sentences = [str(error), *getattr(error, "__notes__", [])]
    return " ".join(" ".join(sentences).split())
