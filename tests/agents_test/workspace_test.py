"""The files that model-written names can reach."""

import pytest

from harness.agents.workspace import MAX_FILE_CHARS, MAX_FILES, Workspace, WorkspaceError, inside


@pytest.mark.parametrize(
    ("name", "folder", "path"),
    [
        ("add.py", None, "add.py"),
        ("add.py", "", "add.py"),
        ("add.py", ".", "add.py"),
        ("add.py", "./", "add.py"),
        ("add.py", "workspace", "add.py"),
        ("add.py", "workspace/", "add.py"),
        ("./add.py", None, "add.py"),
        ("workspace/add.py", None, "add.py"),
        ("./workspace/add.py", None, "add.py"),
        ("add.py", "src", "src/add.py"),
        ("add.py", "src/", "src/add.py"),
        ("pkg/add.py", "src", "src/pkg/add.py"),
    ],
)
def test_a_name_and_a_folder_mean_one_path(name, folder, path):
    """The spellings that models use for a file of the workspace come out as its path."""
    assert inside(name, folder) == path


@pytest.mark.parametrize("folder", [None, "src"])
@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/x",
        "a/../../x",
        "..",
        "~/x",
        "C:\\x",
        "a\x00b",
        "a\nb",
        "\ud800",
        "x" * 10_000,
        "workspace/../x",
        5,
        5.0,
        True,
        False,
        b"add.py",
        ["add.py"],
        {"a": 1},
        ("add.py",),
        object(),
    ],
    ids=lambda name: ascii(name)[:20],
)
def test_any_other_name_is_refused_in_words(name, folder):
    """A value of any type that is no plain name inside gives one short message for the model."""
    with pytest.raises(WorkspaceError) as caught:
        inside(name, folder)
    assert "add.py" in str(caught.value)
    assert len(str(caught.value)) < 300
    str(caught.value).encode()


@pytest.mark.parametrize(
    "folder", ["..", "/", "/tmp", "/workspace", "a/../..", "~", 5, ["src"], {"a": 1}, True]
)
def test_any_other_folder_is_refused_in_words(folder):
    """The folder is untrusted just like the name."""
    with pytest.raises(WorkspaceError):
        inside("add.py", folder)


@pytest.mark.parametrize("name", [None, "", ".", "./", "workspace"])
@pytest.mark.parametrize("folder", [None, "", "src"])
def test_a_folder_alone_is_no_file(name, folder):
    """Without a file name there is nothing to write, whatever the folder is called."""
    with pytest.raises(WorkspaceError):
        inside(name, folder)


def test_a_workspace_reads_like_a_mapping_in_the_order_of_names():
    """Files come sorted, so that prompts are the same in every process."""
    workspace = Workspace({"b.py": "2"})
    workspace.write("a.py", "1")
    workspace.write("b.py", "3")
    assert list(workspace) == ["a.py", "b.py"]
    assert dict(workspace) == workspace.snapshot() == {"a.py": "1", "b.py": "3"}
    assert "c.py" not in workspace
    assert len(workspace) == 2


def test_a_snapshot_and_the_given_files_are_copies():
    """What was kept of an attempt does not change with the next."""
    given = {"a.py": "1"}
    workspace = Workspace(given)
    before = workspace.snapshot()
    workspace.write("a.py", "2")
    assert given == before == {"a.py": "1"}


def test_a_file_can_be_only_so_large():
    """One character too many is refused, and the file stays as it was."""
    workspace = Workspace()
    workspace.write("a.py", "x" * MAX_FILE_CHARS)
    with pytest.raises(WorkspaceError, match="at most 500000"):
        workspace.write("a.py", "y" * (MAX_FILE_CHARS + 1))
    assert workspace["a.py"][0] == "x"


def test_a_workspace_holds_only_so_many_files():
    """A new file beyond the limit is refused; the others can still be replaced."""
    workspace = Workspace({f"f{n}.py": "" for n in range(MAX_FILES)})
    with pytest.raises(WorkspaceError, match="already holds 100 files"):
        workspace.write("one_more.py", "")
    workspace.write("f0.py", "new")
    assert len(workspace) == MAX_FILES


@pytest.mark.parametrize(
    ("first", "second"), [("add.py", "add.py/x.py"), ("src/add.py", "src"), ("a/b/c.py", "a/b")]
)
def test_a_file_cannot_be_a_folder_too(first, second):
    """A name that no disk could hold beside the others is refused, before the sandbox meets it."""
    workspace = Workspace({first: "x = 1\n"})
    with pytest.raises(WorkspaceError):
        workspace.write(second, "y = 1\n")
    assert workspace.snapshot() == {first: "x = 1\n"}
