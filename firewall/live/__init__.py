"""The live data path: transparent sockets, nftables and the asyncio daemon around the engine (DESIGN section 4)."""
