"""Consumers: a position in the stream, and what is out."""

from headrace.stream.consumers.desk import Delivered
from headrace.stream.consumers.dispatcher import Dispatcher

__all__ = ["Delivered", "Dispatcher"]
