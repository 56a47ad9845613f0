"""Planners, rollouts, agents and the closed loop."""
