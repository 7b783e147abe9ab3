# Needs Python 3.11, 3.12 or 3.13; everything else goes into .venv.
# `make PYTHON=...` names the Python that makes .venv.

PYTHON ?=
CANDIDATES = $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)
VENV = .venv
RUN = $(VENV)/bin/python
READY = $(VENV)/.ready
# Of the command line alone: on WSL the environment has a NAME, that of the machine.
STUDY =
NAME = $(STUDY)

.PHONY: help run test studies publish notebooks html report submission check handout colab clean

help:
	@echo 'make run        execute the notebooks into build/ and show the results'
	@echo '                (NAME=q1: one of them; PROFILE=quick or PROFILE=smoke: trains less)'
	@echo 'make test       run the tests'
	@echo 'make studies    execute the studies into build/ (STUDY=cascades: one of them)'
	@echo 'make publish    execute on the real data, then replace notebooks, models and report'
	@echo '                (NAME=q1: one of them)'
	@echo 'make notebooks  bring the prose of the notebooks up to date with notebooks/'
	@echo 'make html       each notebook as a page in build/html/, without the helpers'
	@echo 'make report     rewrite report.md and the README table from models/results.json'
	@echo 'make submission one zip to hand in, in build/'
	@echo 'make check ZIP=submissions.zip ROSTER=grades.csv'
	@echo '                check what a class handed in, or ZIP="a.zip b.zip", and rank it'
	@echo 'make handout    the questions as starters for students, in build/handout/'
	@echo 'make colab      execute each notebook alone, with the Python and TensorFlow of Colab'
	@echo 'make clean      delete build/, all but build/check/marking.csv'

run: $(READY)
	@$(RUN) -m tools.run $(NAME)

test: $(READY)
	@$(RUN) -m ruff check --quiet . && $(RUN) -m ruff format --check --quiet .
	@$(RUN) -m mypy --no-error-summary
	@$(RUN) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

studies: $(READY)
	@$(RUN) -m tools.run studies $(NAME)

publish: $(READY)
	@$(RUN) -m tools.publish $(NAME)

notebooks: $(READY)
	@$(RUN) -m tools.notebooks

html: $(READY)
	@$(RUN) -m tools.html $(NAME)

report: $(READY)
	@$(RUN) -m tools.report

submission: $(READY)
	@$(RUN) -m tools.submission

check: $(READY)
	@$(RUN) -m grader

handout: $(READY)
	@$(RUN) -m tools.handout

colab: $(READY)
	@$(RUN) -m tools.colab $(NAME)

# What a person wrote there is not made again.
clean:
	@test ! -d build || find build -depth -mindepth 1 ! -path build/check/marking.csv \
	    \( -type d -empty -o ! -type d \) -delete

# The stamp comes last, so an installation that was interrupted is made again.
$(READY): requirements.txt
	@fits='import sys; assert (3, 11) <= sys.version_info < (3, 14)'; fit=; found=; \
	if ! $(RUN) -c "$$fits; import pip" >/dev/null 2>&1; then \
	    for python in $(CANDIDATES); do \
	        "$$python" -c "$$fits" >/dev/null 2>&1 || continue; \
	        fit=$$python; \
	        "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1 && found=$$python && break; \
	    done; \
	    if [ -z "$$fit" ]; then \
	        echo 'No Python 3.11, 3.12 or 3.13 among: $(CANDIDATES).' >&2; \
	        echo 'Install one, or name it: make PYTHON=/path/to/python' >&2; \
	        exit 1; \
	    elif [ -z "$$found" ]; then \
	        echo "$$fit cannot make a virtual environment: its modules venv or ensurepip are missing." >&2; \
	        echo 'On Debian and Ubuntu: sudo apt install python3-venv' >&2; \
	        exit 1; \
	    fi; \
	    echo "Making $(VENV) with $$found"; \
	    "$$found" -m venv --clear $(VENV) || exit 1; \
	fi
	@echo 'Installing requirements.txt into $(VENV): about 3 GB, it takes some minutes'
	@rm -f $(READY); { $(RUN) -m pip install --disable-pip-version-check -r requirements.txt \
	    && touch $(READY); } | awk '/MB\)$$/ {split($$(NF-2), part, "-"); print "  " part[1], part[2], \
	        $$(NF-1), $$NF; fflush()} /^Installing/ {print "  Unpacking all of them"; fflush()}'
	@test -e $(READY)
