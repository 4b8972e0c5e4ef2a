"""Why a patch is not what its signature says. Each is a `SignatureInvalid`."""

from __future__ import annotations

from devstudio_server.signing.errors import SignatureInvalid


class PatchUnsigned(SignatureInvalid):
    """The patch was made before patches were signed."""

    title = "The patch is not signed"


class ApprovalUnsigned(SignatureInvalid):
    """The approval was given before approvals were signed."""

    title = "The approval is not signed"


class SignatureExpired(SignatureInvalid):
    """The signature held, and its time is over."""

    title = "The signature has expired"


class WrongPatch(SignatureInvalid):
    """The signature belongs to another patch, revision, project or tenant."""

    title = "The signature is another patch's"


class WrongBranch(SignatureInvalid):
    """The signature is for another branch."""

    title = "Signed for another branch"


class ContentChanged(SignatureInvalid):
    """Something that was signed has changed since."""

    title = "The patch is not what was signed"


class CriterionChanged(SignatureInvalid):
    """A criterion that the patch is for has another text than when it was approved."""

    title = "A criterion changed"
