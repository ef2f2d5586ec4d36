"""The whole service as `template.yaml` sets it up, on an emulator of AWS, with the images that are deployed."""
