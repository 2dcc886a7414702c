"""The application on an emulator of AWS on this machine, deployed as it is deployed to AWS."""
