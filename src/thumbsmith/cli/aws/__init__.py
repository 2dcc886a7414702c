"""`thumbsmith aws ...`: the ready app on AWS, with nothing but Python installed."""
