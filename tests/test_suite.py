"""The questions, from the sources to the report, in the smoke profile on the drawn sample."""

from suite import Suite

from tools.notebooks import QUESTIONS


class TestQuestions(Suite):
    room = QUESTIONS

    def test_the_report_carries_the_banner(self, build):
        assert "NOT Sign Language MNIST" in (build / "report.md").read_text()
