"""The release's images: opened one by one, and every hostile file or archive refused."""

import io
import stat
import warnings
import zipfile

import matplotlib.pyplot as plt
import numpy as np
import pytest

import causalbias as cb
from causalbias.study.tree import group_of
from tests.datasets.causalface.release_files import load_release, write_release


def test_images_open_from_folder_and_archive(tmp_path):
    folder = write_release(tmp_path / "a")
    packed = write_release(tmp_path / "b", archive=True)
    image = str(cb.to_frame(load_release(folder), "stimuli")["image"].max())
    pictures = [plt.imread(cb.datasets.open_image(one, image)) for one in (folder, packed)]
    assert pictures[0].shape == (32, 32, 3)
    assert np.array_equal(*pictures)
    assert pictures[0].std() > 0.05
    for bad in ("../secret.png", "/etc/passwd", "final_picked_pose\\x.png", "nowhere.png"):
        for one in (folder, packed):
            with pytest.raises(cb.DataError, match=r"leads out of the root|cannot read"):
                cb.datasets.open_image(one, bad)


def test_drawn_faces_follow_the_manipulation(root):
    def picture(level):
        seed = group_of(load_release(root), "stimuli")["seed"].values[0]
        image = f"final_picked_pose/seed_{seed}/white_female_y_{level}.png"
        return plt.imread(cb.datasets.open_image(root, image))

    eyes = [np.argwhere(picture(level).max(axis=2) < 0.15)[:, 1].mean() for level in (-3.0, 3.0)]
    assert eyes[0] < 15.5 < eyes[1]


def _first_image(root):
    return sorted((root / "final_picked_pose").rglob("*.png"))[0]


IMAGE_NAMES = {
    "holiday.png": "is not the name of a render",
    "martian_female_y_0.0.png": "has an unknown race",
    "asian_female_y_0.5.png": "has a level that is not in the design",
    "asian_female_age_2.0.png": "attribute that is not in the design or not its folder's",
    "asian_female_y_0.0_o2.png": "are the same face",
}


@pytest.mark.parametrize("name", IMAGE_NAMES)
def test_a_bad_image_name_ends_in_one_error(root, name):
    (_first_image(root).parent / name).write_bytes(b"x")
    with pytest.raises(cb.DataError, match=IMAGE_NAMES[name]):
        load_release(root)


def test_an_empty_image_ends_in_one_error(root):
    image = _first_image(root)
    image.write_bytes(b"")
    with pytest.raises(cb.DataError, match=f"{image.name}' has 0 bytes.*Hint: .*delete it"):
        load_release(root)


def test_a_deleted_image_is_a_missing_render_unless_a_table_names_it(root):
    next((root / "final_picked_smiling").rglob("white_male_smiling_2_o2.png")).unlink()
    with pytest.raises(cb.DataError, match="names an image that does not exist"):
        load_release(root)


def test_links_out_of_the_root_are_refused(root, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"x")
    (_first_image(root).parent / "black_male_y_0.0_o2.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(cb.DataError, match="leads out of the root"):
        load_release(root)


CLIMBING = ["../x.png", "/x.png", "a/../../x.png", "C:/x.png", "a\\..\\x.png"]


@pytest.mark.parametrize("name", CLIMBING)
def test_an_archive_that_climbs_out_of_the_root_is_refused(tmp_path, name):
    root = write_release(tmp_path, archive=True)
    with zipfile.ZipFile(root / "data.zip", "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(cb.DataError, match=r"data.zip: the path .* leads out of the root"):
        load_release(root)


def test_hostile_archives_are_refused(tmp_path):
    root = write_release(tmp_path, archive=True)
    good = (root / "data.zip").read_bytes()
    path = "final_picked_pose/seed_1/asian_female_y_0.0.png"

    def add(info, content):
        (root / "data.zip").write_bytes(good)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile warns of names that are there already
            with zipfile.ZipFile(root / "data.zip", "a", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(info, content)

    link = zipfile.ZipInfo(path)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    add(link, b"/etc/passwd")
    with pytest.raises(cb.DataError, match="is a link"):
        load_release(root)
    add(path, bytes(65 * 1024**2))
    with pytest.raises(cb.DataError, match=r"asian_female_y_0.0.png' is 68 MB"):
        load_release(root)
    with pytest.raises(cb.DataError, match="a render is at most"):
        cb.datasets.open_image(root, path)
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        twice = archive.namelist()[0]
    add(twice, b"x")
    with pytest.raises(cb.DataError, match="occurs twice"):
        load_release(root)
    (root / "data.zip").write_bytes(good[: len(good) // 2])
    with pytest.raises(cb.DataError, match="not a readable archive"):
        load_release(root)


def test_folders_win_over_an_archive_beside_them_and_it_says_so(root):
    (root / "data.zip").write_bytes(b"not even a zip")
    left_out = cb.to_frame(load_release(root), "excluded")
    assert "not read: the folders beside it were" in left_out["reason"].tolist()
