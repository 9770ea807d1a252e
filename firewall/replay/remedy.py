"""What to change so that the decision that hurt an emergency call hurts no other: one sentence for a person."""

from firewall.engine.reasons import REASONS
from firewall.errors import Place
from firewall.replay.media_story import setting_to_mend


def remedy(rule: str | None, reason: str, place: Place, src_ip: str) -> str:
    """Return what to change; ``place`` is the decision's in the policy, ``src_ip`` the sender of the lost message."""
    then = f"then run sosgate lint {place.file}"
    if reason == "banned":
        return (
            f'remove "ban" from rule "{rule}" at {place}, or keep the rule off peers that emergency calls come from '
            f'(add "and not net.src == {src_ip}"): a ban drops all from an address, also emergency calls; {then}'
        )
    if rule is not None:
        return f'add "and not emergency" to the condition of rule "{rule}" at {place}; {then}'
    if reason == "default":
        return f"add a rule that allows it, such as {{name: emergency, when: emergency, action: allow}}; {then}"
    known = REASONS.get(reason)
    if known is not None and known.kind == "malformed":
        return f'set "malformed: allow" under "exceptions", or "guard: enforce" under "emergency"; {then}'
    return setting_to_mend(reason, then) or f"see: sosgate explain {reason}; {then}"
