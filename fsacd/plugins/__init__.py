"""Strategies and call orders: finds the plugins, refuses what breaks the contract, guards the engine against them."""

from fsacd.plugins.catalogue import Catalogue, Description, PluginProblem, Source, shipped
from fsacd.plugins.parameters import ParameterProblem
from fsacd.plugins.plugin import Kind
from fsacd.plugins.source import Unfit

__all__ = [
    "Catalogue",
    "Description",
    "Kind",
    "ParameterProblem",
    "PluginProblem",
    "Source",
    "Unfit",
    "shipped",
]
