"""Signatures of sizes."""

from app.domain.access.signing import Signer
from app.domain.sizes.signatures import SizeSignatures

ID, OTHER = "01a21211-8a9b-7bc8-801b-cadcca2023b7", "01a21211-8a9b-7bc8-801b-cadcca2023b8"
TEXT = "w640-q75.auto"
OLD, NEW = b"an old secret, long", b"a new secret, longer"


def test_a_signature_is_valid_for_one_image_and_one_size() -> None:
    signatures = SizeSignatures(Signer(NEW))
    signature = signatures.sign(ID, TEXT)
    assert len(signature) == 22
    assert signatures.verify(ID, TEXT, signature)
    assert not signatures.verify(OTHER, TEXT, signature)
    assert not signatures.verify(ID, "w641-q75.auto", signature)
    for wrong in ("", "x", signature[:-1], signature + "A", "é", "\udcff", signature.swapcase()):
        assert not signatures.verify(ID, TEXT, wrong)


def test_a_previous_secret_still_verifies() -> None:
    before, after = SizeSignatures(Signer(OLD)), SizeSignatures(Signer(NEW, [OLD]))
    assert after.verify(ID, TEXT, before.sign(ID, TEXT))
    assert not before.verify(ID, TEXT, after.sign(ID, TEXT))
    assert after.key == SizeSignatures(Signer(NEW, [NEW, OLD])).key != before.key


def test_the_key_signs_nothing_else() -> None:
    signer = Signer(NEW)
    key = SizeSignatures(signer).key
    assert Signer(key).sign("share", "x") != signer.sign("share", "x")
