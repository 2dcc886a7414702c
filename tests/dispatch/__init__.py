"""The worker of queues, webhooks, and the whole path outside of AWS."""
