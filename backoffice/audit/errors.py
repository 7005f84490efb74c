"""What keeps the trail from being sealed, each as a sentence that says what to do next."""

from ..base import N_
from ..base.refusals import Refusal


class UnknownKey(Refusal):
    """The chain was continued under a key that this process does not have."""

    sentence = N_(
        "Seal %(seal)s was made under the key %(key)s, which AUDIT_KEY does not hold here. "
        "Nothing is sealed until it does, so that the chain stays one."
    )


class BrokenChain(Refusal):
    """The last seal is not one of ours."""

    sentence = N_(
        "Seal %(seal)s is not genuine, and nothing is sealed after it. "
        "Look at it with: backoffice audit verify-chain"
    )
