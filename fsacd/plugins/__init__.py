"""Strategies and call orders: finds the plugins, refuses what breaks the contract, guards the engine against them."""

from fsacd.plugins.catalogue import Catalogue, Description, PluginProblem, shipped
from fsacd.plugins.parameters import ParameterProblem
from fsacd.plugins.plugin import Kind

__all__ = ["Catalogue", "Description", "Kind", "ParameterProblem", "PluginProblem", "shipped"]
