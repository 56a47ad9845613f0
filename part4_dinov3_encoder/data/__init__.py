"""What encoders are trained on, and scored on."""
