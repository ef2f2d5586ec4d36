"""Resources of `template.yaml`, read as CloudFormation does, and checked by the tools that deploy it."""
