// What Python sees. Pointers come in as integers, so this file knows nothing of torch and one build serves
// every version of it; the stable C API makes it one build for every Python, too.
#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <new>

#include "ceilings.h"
#include "isa.h"
#include "steps.h"

namespace {

constexpr const char* kCapsule = "workbench.kernels.program";

// C++ errors become Python ones.
template <class F>
PyObject* guarded(F body) {
    try {
        return body();
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
        return nullptr;
    }
}

wb::Program* program_of(PyObject* capsule) {
    return static_cast<wb::Program*>(PyCapsule_GetPointer(capsule, kCapsule));
}

void destroy(PyObject* capsule) { delete program_of(capsule); }

template <class T>
bool bytes_to(PyObject* object, std::vector<T>& out) {
    char* data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(object, &data, &size) < 0) return false;
    out.resize(static_cast<size_t>(size) / sizeof(T));
    std::memcpy(out.data(), data, out.size() * sizeof(T));
    return true;
}

PyObject* name_list(const std::vector<std::string>& names) {
    PyObject* list = PyList_New(static_cast<Py_ssize_t>(names.size()));
    for (size_t i = 0; list && i < names.size(); ++i) {
        PyList_SetItem(list, static_cast<Py_ssize_t>(i), PyUnicode_FromString(names[i].c_str()));
    }
    return list;
}

PyObject* isas(PyObject*, PyObject*) {
    return guarded([] { return name_list(wb::usable_isas()); });
}

PyObject* stand_ins(PyObject*, PyObject*) {
    return guarded([] { return name_list(wb::stand_ins()); });
}

// names(): of each enumeration in a record or tensor, its names in the order of their numbers
PyObject* names(PyObject*, PyObject*) {
    return guarded([] {
#define WB_TEXT(name) #name,
        return Py_BuildValue("{sNsNsNsNsN}", "Kind", name_list({WB_KINDS(WB_TEXT)}), "Dtype",
                             name_list({WB_DTYPES(WB_TEXT)}), "Act", name_list({WB_ACTS(WB_TEXT)}), "Place",
                             name_list({WB_PLACES(WB_TEXT)}), "Cell", name_list({WB_CELLS(WB_TEXT)}));
    });
}

// bf16(isa): whether it multiplies bf16
PyObject* bf16(PyObject*, PyObject* args) {
    const char* isa;
    if (!PyArg_ParseTuple(args, "s", &isa)) return nullptr;
    return guarded([&] {
        const wb::KernelTable* kernels = wb::kernels_for(isa);
        return PyBool_FromLong(kernels && kernels->conv_bf16.name);
    });
}

bool read_record(PyObject* tuple, wb::Record& record) {
    PyObject *integers, *floats, *arrays;
    if (!PyArg_ParseTuple(tuple, "SSO!", &integers, &floats, &PyTuple_Type, &arrays)) return false;
    if (!bytes_to(integers, record.integers) || !bytes_to(floats, record.floats)) return false;
    for (Py_ssize_t i = 0; i < PyTuple_Size(arrays); ++i) {
        if (!bytes_to(PyTuple_GetItem(arrays, i), record.arrays.emplace_back())) return false;
    }
    return true;
}

// build(isa, tensors: bytes of int64 rows, records: list of (bytes, bytes, tuple of bytes), input, output, arena bytes)
PyObject* build(PyObject*, PyObject* args) {
    const char* isa;
    PyObject *rows, *list;
    long long input_bytes, output_bytes, arena_bytes;
    if (!PyArg_ParseTuple(args, "sSO!LLL", &isa, &rows, &PyList_Type, &list, &input_bytes, &output_bytes, &arena_bytes)) {
        return nullptr;
    }
    return guarded([&]() -> PyObject* {
        const wb::KernelTable* kernels = wb::kernels_for(isa);
        if (!kernels) throw wb::BuildError(std::string("this machine has no ") + isa);
        std::vector<int64_t> numbers;
        if (!bytes_to(rows, numbers)) return nullptr;
        constexpr size_t kFields = 13;
        std::vector<wb::Tensor> tensors;
        for (size_t i = 0; i + kFields <= numbers.size(); i += kFields) {
            const int64_t* n = numbers.data() + i;
            tensors.push_back({static_cast<wb::Place>(n[0]), n[1], n[2], n[3], n[4], n[5], n[6],
                               static_cast<wb::Dtype>(n[7]), n[8], n[9], n[10], n[11], n[12]});
        }
        std::vector<wb::Record> records(static_cast<size_t>(PyList_Size(list)));
        for (size_t i = 0; i < records.size(); ++i) {
            if (!read_record(PyList_GetItem(list, static_cast<Py_ssize_t>(i)), records[i])) return nullptr;
        }
        auto* program = new wb::Program(*kernels, std::move(tensors), std::move(records), input_bytes, output_bytes,
                                        arena_bytes);
        PyObject* capsule = PyCapsule_New(program, kCapsule, destroy);
        if (!capsule) delete program;
        return capsule;
    });
}

struct Call {
    wb::Program* program;
    const uint8_t* input;
    uint8_t* output;
    int64_t batch, chunk;
    int threads;
};

bool read_call(PyObject* const* args, Py_ssize_t count, Call& call) {
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "expected (program, input, output, batch, chunk, threads)");
        return false;
    }
    call.program = program_of(args[0]);
    if (!call.program) return false;
    call.input = static_cast<const uint8_t*>(PyLong_AsVoidPtr(args[1]));
    call.output = static_cast<uint8_t*>(PyLong_AsVoidPtr(args[2]));
    call.batch = PyLong_AsLongLong(args[3]);
    call.chunk = PyLong_AsLongLong(args[4]);
    call.threads = static_cast<int>(PyLong_AsLong(args[5]));
    return !PyErr_Occurred();
}

// run(program, input pointer, output pointer, batch, chunk, threads)
PyObject* run(PyObject*, PyObject* const* args, Py_ssize_t count) {
    Call c;
    if (!read_call(args, count, c)) return nullptr;
    return guarded([&]() -> PyObject* {
        PyThreadState* python = PyEval_SaveThread();
        try {
            c.program->run(c.input, c.output, c.batch, c.chunk, c.threads);
        } catch (...) {
            PyEval_RestoreThread(python);
            throw;
        }
        PyEval_RestoreThread(python);
        return Py_NewRef(Py_None);
    });
}

// times(…as run…): a list with the nanoseconds of each step in one run
PyObject* times(PyObject*, PyObject* const* args, Py_ssize_t count) {
    Call c;
    if (!read_call(args, count, c)) return nullptr;
    return guarded([&]() -> PyObject* {
        std::vector<double> nanoseconds;
        c.program->run_timed(c.input, c.output, c.batch, c.threads, nanoseconds);
        PyObject* list = PyList_New(static_cast<Py_ssize_t>(nanoseconds.size()));
        for (size_t i = 0; list && i < nanoseconds.size(); ++i) {
            PyList_SetItem(list, static_cast<Py_ssize_t>(i), PyFloat_FromDouble(nanoseconds[i]));
        }
        return list;
    });
}

PyObject* kernels(PyObject*, PyObject* capsule) {
    wb::Program* program = program_of(capsule);
    if (!program) return nullptr;
    return guarded([&] { return name_list(program->kernels()); });
}

// Runs without Python's lock: several threads may measure at once.
template <class F>
PyObject* measured(const char* isa, F figure) {
    return guarded([&]() -> PyObject* {
        const wb::KernelTable* kernels = wb::kernels_for(isa);
        if (!kernels) throw wb::BuildError(std::string("this machine has no ") + isa);
        PyThreadState* python = PyEval_SaveThread();
        try {
            const double value = figure(*kernels);
            PyEval_RestoreThread(python);
            return PyFloat_FromDouble(value);
        } catch (...) {
            PyEval_RestoreThread(python);
            throw;
        }
    });
}

// multiply_adds_per_second(isa, dtype)
PyObject* multiply_adds_per_second(PyObject*, PyObject* args) {
    const char* isa;
    long long dtype;
    if (!PyArg_ParseTuple(args, "sL", &isa, &dtype)) return nullptr;
    return measured(isa, [=](const wb::KernelTable& kernels) {
        return wb::multiply_adds_per_second(kernels, static_cast<wb::Dtype>(dtype));
    });
}

// bytes_per_second(isa, bytes)
PyObject* bytes_per_second(PyObject*, PyObject* args) {
    const char* isa;
    long long bytes;
    if (!PyArg_ParseTuple(args, "sL", &isa, &bytes)) return nullptr;
    return measured(isa, [=](const wb::KernelTable& kernels) { return wb::bytes_per_second(kernels, bytes); });
}

template <class F>
PyCFunction as_method(F function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef methods[] = {
    {"isas", isas, METH_NOARGS, "Usable instruction sets, best first."},
    {"stand_ins", stand_ins, METH_NOARGS, "Instruction sets imitated for tests."},
    {"names", names, METH_NOARGS, "The names of each enumeration that records and tensors are made with."},
    {"bf16", bf16, METH_VARARGS, "Whether an instruction set multiplies bf16."},
    {"build", build, METH_VARARGS, "A program from its tensors and step records."},
    {"run", as_method(run), METH_FASTCALL, "Run a batch."},
    {"times", as_method(times), METH_FASTCALL, "Run a batch and return the nanoseconds of each step."},
    {"kernels", kernels, METH_O, "The kernel's name for each step."},
    {"multiply_adds_per_second", multiply_adds_per_second, METH_VARARGS, "The most of a type on this thread, measured."},
    {"bytes_per_second", bytes_per_second, METH_VARARGS, "The most this thread reads of so much memory, measured."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module = {PyModuleDef_HEAD_INIT, "_core", "The compiled kernels and programs of them.", 0, methods,
                      nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__core() { return PyModule_Create(&module); }
