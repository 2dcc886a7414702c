"""Backfill: work on whole buckets that is sent to the functions on AWS, by a queue or by S3 Batch Operations."""
