"""One page's session: it answers the page's messages, and trains in between."""

from __future__ import annotations

from pushforward.errors import PushforwardError, UsageError
from pushforward.playground.learning import STEPS, Learning
from pushforward.playground.messages import (
    Decode,
    Draw,
    Encode,
    Limits,
    Look,
    Message,
    Pause,
    Resume,
    Start,
    read,
)
from pushforward.playground.pictures import Pictures
from pushforward.playground.replies import pack

#: Seconds of training between two views.
MOMENT = 0.25
_NOTHING = Limits(0, [], 0)


class Session:
    """What one page has asked for and not yet given up: at most one flow that learns.

    Args:
        pictures: the flow of images that the page may move the latents of, shared by all sessions.

    Attributes:
        working: whether there is training to do.
    """

    def __init__(self, pictures: Pictures | None = None) -> None:
        self._pictures = pictures
        self._learning: Learning | None = None
        self.working = False

    def greet(self) -> list[bytes]:
        """What the page must know to begin with."""
        return [pack("hello", {"pictures": None if self._pictures is None else self._pictures.facts(), "steps": STEPS})]

    def answer(self, text: str | bytes) -> list[bytes]:
        """Do what a message asks for; where it cannot be done, the one reply is an error, and all stays as it was. It
        says what was asked, ``about``, where that could be read."""
        asked = None
        try:
            message = read(text, _NOTHING if self._pictures is None else self._pictures.limits)
            asked = type(message).__name__.lower()
            return self._do(message)
        except PushforwardError as error:
            return [pack("error", {"message": str(error), "about": asked})]

    def advance(self) -> list[bytes]:
        """Train for a moment and return the view of it."""
        learning = self._learner()
        try:
            learning.advance(MOMENT)
            view = learning.view()
        except PushforwardError as error:
            self.working = False
            return [pack("error", {"message": str(error)}), pack("paused", {})]
        self.working = not learning.done
        return [view, *([] if self.working else [pack("paused", {})])]

    def _do(self, message: Message) -> list[bytes]:
        match message:
            case Start():
                self._learning, self.working = Learning(message), True
                return [self._learning.target(), pack("training", {}), self._learning.view()]
            case Pause():
                self._learner()
                self.working = False
                return [pack("paused", {})]
            case Resume():
                self.working = not self._learner().done
                return [pack("training" if self.working else "paused", {})]
            case Look(temperature):
                self._learner().temperature = temperature
                return [self._learner().view()]
            case Draw(index):
                return [self._images().drawn(index)]
            case Encode(pixels):
                return [self._images().encoded(pixels)]
            case Decode(latents):
                return [self._images().decoded(latents)]

    def _learner(self) -> Learning:
        if self._learning is None:
            raise UsageError("no flow is there yet: start one")
        return self._learning

    def _images(self) -> Pictures:
        if self._pictures is None:
            raise UsageError("no flow of images is there: make one with pushforward demo, and give its run to play")
        return self._pictures
