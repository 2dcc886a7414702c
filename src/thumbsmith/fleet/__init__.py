"""The same work done by functions on AWS: keys are sent to them, by a queue or by a job of S3 Batch Operations."""
