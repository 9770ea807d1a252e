"""SIP as the standards write it: bytes to values. Pure; raises ``SipSyntaxError`` and nothing else."""
