"""From a line in Slack to the hosts and back: the bot as a process of its own, in the lab."""
