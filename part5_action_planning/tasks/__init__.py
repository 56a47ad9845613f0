"""What an agent is asked to do."""
