"""Atelier: a local studio for text, pictures, music and design with generative models. Imports nothing."""

__version__ = "0.1.0"
