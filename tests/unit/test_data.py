"""Reading the assignment's rows and the hidden reference, and writing what a prediction sandbox gets."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harness.host.assignment import Assignment, load_assignment, reference_folder
from harness.host.data import SpelledRows, load_data, prediction_order, validation_rows
from harness.host.errors import InvalidSubmissionError, UsageError
from harness.host.reference import load_reference
from harness.host.table import read_table

TRAIN = "id,temp,rain,count\n7,0.25,1,10\n3,0.5,0,20.5\n"
TEST = "id,temp,rain\n9,0.1,0\n08,1e-3,1\n"
ANSWERS = "id,count\n9,11\n08,22\n"
REFERENCE = 'answers = "answers.csv"\nsplit_key = "' + "ab" * 32 + '"\n'
PLANTED = "987654.25"
ASSIGNMENTS = [file.parent for file in (Path(__file__).parents[2] / "assignments").glob("*/assignment.toml")]


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    """A sound assignment of two training and two test rows, with its reference."""
    folder = tmp_path / "assignments" / "toy"
    (folder / "data").mkdir(parents=True)
    (folder / "data/train.csv").write_text(TRAIN)
    (folder / "data/test.csv").write_text(TEST)
    reference = tmp_path / "reference" / "toy"
    reference.mkdir(parents=True)
    (reference / "answers.csv").write_text(ANSWERS)
    (reference / "reference.toml").write_text(REFERENCE)
    return Assignment.model_validate(
        {
            "id": "toy",
            "title": "A toy",
            "task": "regression",
            "data": {"target": "count"},
            "metric": {"name": "rmse", "direction": "min"},
            "loss": {"name": "MSELoss"},
            "points": {"contract": 1.0, "finished": 1.0, "finite": 1.0, "runtime": 1.0},
            "folder": folder,
        }
    )


def digits(assignment: Assignment) -> Assignment:
    """The same assignment as a classification of 30 classes."""
    return assignment.model_copy(
        update={"task": "classification", "data": assignment.data.model_copy(update={"classes": 30})}
    )


def test_rows_become_arrays(assignment: Assignment) -> None:
    """Features in the file's order as float32, targets apart, ids as they are written."""
    data = load_data(assignment)
    assert data.features == ("temp", "rain")
    assert data.train_inputs.tolist() == [[0.25, 1.0], [0.5, 0.0]]
    assert data.train_targets.tolist() == [10.0, 20.5]
    assert data.train_inputs.dtype == data.test_inputs.dtype == np.float32
    assert data.train_targets.dtype == np.float32
    assert data.train_inputs.flags.c_contiguous
    assert data.train_ids.tolist() == ["7", "3"]
    assert data.test_ids.tolist() == ["9", "08"]
    assert data.test_inputs.shape == (2, 2)
    assert data.train_file == TRAIN.encode()


def test_classes_are_integers(assignment: Assignment) -> None:
    """A class is int64, and one that is no number under the number of classes is refused."""
    assignment.train_path.write_text(TRAIN.replace("20.5", "29"))
    assert load_data(digits(assignment)).train_targets.dtype == np.int64
    for wrong in ("20.5", "30", "-1"):
        assignment.train_path.write_text(TRAIN.replace("20.5", wrong))
        with pytest.raises(UsageError, match="id '3' is no class under 30"):
            load_data(digits(assignment))


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("train", None, "does not exist"),
        ("train", "", "no id column 'id'"),
        ("train", "id,temp,rain,count\n", "there are no rows"),
        ("train", TRAIN.replace("id,", "key,"), "no id column 'id'"),
        ("train", TRAIN.replace("count", "cnt"), "no target column 'count'"),
        ("train", TRAIN.replace("rain", "temp"), "the column 'temp' is there more than once"),
        ("train", TRAIN.replace("rain", ""), "column 3 has no name"),
        ("train", TRAIN.replace("0.25", "warm"), "line 2, column 'temp': 'warm' is no finite number"),
        ("train", TRAIN.replace("0.5", ""), "line 3, column 'temp': an empty cell is no finite number"),
        ("train", TRAIN.replace("20.5", "nan"), "line 3, column 'count': 'nan' is no finite number"),
        ("train", TRAIN.replace("20.5", "inf"), "line 3, column 'count': 'inf' is no finite number"),
        ("train", TRAIN.replace("20.5", "1e39"), "id '3' has a number over"),
        ("train", TRAIN.replace("20.5", "20.5,1"), "line 3 has 5 cells, the header has 4"),
        ("train", TRAIN.replace(",20.5", ""), "line 3 has 3 cells, the header has 4"),
        ("train", TRAIN.replace("\n3,", "\n7,"), "line 3: the id '7' is on line 2 too"),
        ("train", TRAIN + '"5,1', "cannot be read"),
        ("test", TEST.replace("rain", "count"), "target column 'count' is in it"),
        (
            "test",
            TEST.replace("rain", "snow"),
            "no column 'rain', which the training file has; the column 'snow'",
        ),
        ("test", TEST.replace("temp,rain", "rain,temp"), "the columns are in another order"),
    ],
)
def test_an_unsound_file_is_a_usage_error(
    assignment: Assignment, file: str, text: str | None, said: str
) -> None:
    """The message names the file, and the line and column where there is one."""
    path = assignment.train_path if file == "train" else assignment.test_path
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_data(assignment)
    assert str(path) in caught.value.message
    assert said in caught.value.message
    assert caught.value.fix


@pytest.mark.parametrize("id_column", ["id", "temp", "count"], ids=["first", "in the middle", "last"])
@pytest.mark.parametrize(
    "cell",
    [
        "1",
        "-0",
        "+1.5",
        " 2 ",
        ".5",
        "5.",
        "1e-320",
        "0.1",
        "123456789.123456789",
        "1_000",
        "\u0661",
        "1e5",
        "1E-5",
    ],
)
def test_numbers_are_what_python_reads(tmp_path: Path, cell: str, id_column: str) -> None:
    """Whichever way a table is read, fast or telling, a cell is the same number."""
    names = ["temp", "rain", "count"]
    names.insert({"id": 0, "temp": 1, "count": 3}[id_column], "id")
    path = tmp_path / "table.csv"
    tables = []
    for quote in ("", '"'):  # a quote takes the telling way
        row = [f"{quote}{n}{quote}" if name == "id" else cell for n, name in enumerate(names)]
        path.write_text(f"{','.join(names)}\n{','.join(row)}\n\n", encoding="utf-8")
        tables.append(read_table(path, "id"))
    for table in tables:
        assert table.columns == ("temp", "rain", "count")
        assert table.ids.tolist() == [str(names.index("id"))]
        assert table.numbers.tobytes() == np.full((1, 3), float(cell)).tobytes()


def test_plain_files_are_read_the_fast_way(monkeypatch: pytest.MonkeyPatch, assignment: Assignment) -> None:
    """The telling way is not needed for what the assignments ship."""
    monkeypatch.setattr("harness.host.table._read_rows", pytest.fail)
    for folder in ASSIGNMENTS:
        load_data(load_assignment(folder))
    load_data(assignment)


def test_quoted_cells_and_empty_lines_are_csv(assignment: Assignment) -> None:
    """What other programs write is read, and lines are counted as an editor does."""
    assignment.train_path.write_text('id,temp,rain,count\r\n"7","0.25","1","10"\r\n\r\n3,0.5,x,2\r\n')
    with pytest.raises(UsageError, match="line 4, column 'rain'"):
        load_data(assignment)


def test_the_reference_is_matched_by_id(assignment: Assignment) -> None:
    """Answers come in the order that is asked for, in float64, with the key as bytes."""
    reference = load_reference(reference_folder(assignment), assignment)
    assert reference is not None
    assert reference.answers_for(np.array(["08", "9"])).tolist() == [22.0, 11.0]
    assert reference.split_key == b"\xab" * 32


def test_no_reference_folder_is_a_student_s_copy(assignment: Assignment, tmp_path: Path) -> None:
    """It is no error: the score is then on the validation rows."""
    assert load_reference(tmp_path / "nowhere", assignment) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("reference.toml", None),
        ("reference.toml", REFERENCE.replace("ab", "zz")),
        ("reference.toml", REFERENCE.replace("abab", PLANTED)),
        ("reference.toml", REFERENCE + f'more = "{PLANTED}"'),
        ("reference.toml", REFERENCE.replace("answers.csv", f"../{PLANTED}")),
        ("reference.toml", PLANTED),
        ("answers.csv", None),
        ("answers.csv", ANSWERS.replace("22", f"{PLANTED}x")),
        ("answers.csv", ANSWERS.replace("22", f"{PLANTED},1")),
        ("answers.csv", ANSWERS.replace("22", f'"{PLANTED}')),
        ("answers.csv", ANSWERS.replace("count", "cnt")),
    ],
)
def test_a_broken_reference_shows_nothing_of_itself(
    assignment: Assignment, name: str, text: str | None
) -> None:
    """What is wrong is said without any answer or any of the key, in the message and in what led to it."""
    folder = reference_folder(assignment)
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        load_reference(folder, assignment)
    assert name in caught.value.message
    assert PLANTED not in f"{caught.value.message} {caught.value.fix}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_class_that_is_none_is_not_shown(assignment: Assignment) -> None:
    """An answer that is no class is told by its id alone."""
    (reference_folder(assignment) / "answers.csv").write_text(ANSWERS.replace("22", PLANTED))
    with pytest.raises(UsageError, match="id '08' is no class") as caught:
        load_reference(reference_folder(assignment), digits(assignment))
    assert PLANTED not in str(caught.value)


def test_validation_rows_are_the_stated_ones() -> None:
    """The permutation that numpy makes from the config's seed, cut at the ratio."""
    expected = np.random.default_rng(7).permutation(10)[:3]
    assert validation_rows(10, 0.35, 7).tolist() == expected.tolist()


@pytest.mark.parametrize(("rows", "ratio"), [(10, 0.05), (1, 0.5), (10, 1 - 1e-17)])
def test_a_ratio_that_leaves_no_rows_is_refused(rows: int, ratio: float) -> None:
    """There must be a row to train on and one to validate with."""
    with pytest.raises(InvalidSubmissionError, match="valid_ratio") as caught:
        validation_rows(rows, ratio, 0)
    assert caught.value.file == "config.toml"


def test_the_prediction_order_is_a_secret_of_key_and_submission() -> None:
    """The same submission meets the same order; another key or submission meets another one."""
    order = prediction_order(1000, b"key", "aa")
    assert sorted(order.tolist()) == list(range(1000))
    assert np.array_equal(order, prediction_order(1000, b"key", "aa"))
    assert not np.array_equal(order, prediction_order(1000, b"yek", "aa"))
    assert not np.array_equal(order, prediction_order(1000, b"key", "ab"))


@settings(deadline=None)
@given(
    arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=st.floats(width=32, allow_nan=False))
)
def test_numbers_come_back_as_the_same_float32(inputs: np.ndarray) -> None:
    """Every bit of every finite number survives the CSV, the sign of zero too."""
    features = [f"f{column}" for column in range(inputs.shape[1])]
    order = np.arange(len(inputs))[::-1]
    rows = list(csv.reader(io.StringIO(SpelledRows(inputs, features).csv(order).decode())))
    assert rows[0] == ["id", *features]
    assert [row[0] for row in rows[1:]] == [str(number) for number in range(len(inputs))]
    back = np.array([row[1:] for row in rows[1:]], dtype=np.float64).astype(np.float32)
    assert back.tobytes() == np.ascontiguousarray(inputs[order]).tobytes()


def test_whole_numbers_stay_whole() -> None:
    """Code that reads a column as integers in training can do so in prediction; odd names are quoted."""
    inputs = np.array([[1.0, 0.1], [-3.0, 1e-7]], dtype=np.float32)
    text = SpelledRows(inputs, ["hour", "a,b"], id_column="key").csv(np.array([1, 0])).decode()
    assert text == 'key,hour,"a,b"\n0,-3,1e-07\n1,1,0.1\n'


@pytest.mark.parametrize("folder", ASSIGNMENTS, ids=lambda folder: folder.name)
def test_the_real_assignments_load(folder: Path) -> None:
    """The real files pass every check, and the reference is for the test rows."""
    assignment = load_assignment(folder)
    data = load_data(assignment)
    reference = load_reference(reference_folder(assignment), assignment)
    assert data.train_inputs.shape[1] == data.test_inputs.shape[1] == len(data.features)
    assert reference is None or len(reference.answers_for(data.test_ids)) == len(data.test_ids)


def test_files_are_read_again_when_they_change(assignment: Assignment) -> None:
    """A process that grades many reads them once; who corrects one meanwhile is heard."""
    first = load_data(assignment)
    again = load_data(assignment)
    text = assignment.train_path.read_text()
    assignment.train_path.write_text(text.replace("0.25", "0.75"))
    corrected = load_data(assignment)

    assert again is first
    assert 0.25 in first.train_inputs
    assert 0.75 in corrected.train_inputs
    with pytest.raises(ValueError, match="read-only"):
        first.train_inputs[0, 0] = 1.0
    assignment.train_path.unlink()
    with pytest.raises(UsageError, match="does not exist"):
        load_data(assignment)


def test_answers_are_read_again_when_they_change(assignment: Assignment) -> None:
    """A corrected reference counts at once."""
    folder = reference_folder(assignment)
    first = load_reference(folder, assignment)
    assert load_reference(folder, assignment) is first
    (answers,) = folder.glob("*.csv")
    answers.write_text(answers.read_text() + "\n")
    assert load_reference(folder, assignment) is not first
