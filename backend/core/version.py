"""Name and version of the service."""

NAME = "BackDrop"
VERSION = "0.1.0"
