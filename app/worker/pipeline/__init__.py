"""The pipeline of one image: plan, memory estimate and steps."""
