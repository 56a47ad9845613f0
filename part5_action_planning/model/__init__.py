"""World models and the networks they are made of."""
