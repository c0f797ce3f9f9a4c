"""Plug-and-play iterations: pure functions that return the picture, the course and what was proven of them."""

from taut.imaging.algorithms.admm import admm
from taut.imaging.algorithms.course import Course, Restoration, Step
from taut.imaging.algorithms.douglas_rachford import douglas_rachford
from taut.imaging.algorithms.forward_backward import forward_backward
from taut.imaging.algorithms.primal_dual import primal_dual

__all__ = ["Course", "Restoration", "Step", "admm", "douglas_rachford", "forward_backward", "primal_dual"]
