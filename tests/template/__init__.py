"""What `template.yaml` sets up, read as CloudFormation would read it, and judged by the tools that deploy it."""
