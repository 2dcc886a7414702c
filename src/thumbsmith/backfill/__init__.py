"""Work on a whole bucket, sent to the function on AWS."""
